//! Rings whose memory is there before anybody needs it.

use rtrb::{Consumer, Producer, RingBuffer};

/// A ring of so many places, each of which has held `filler` once: the kernel backs a page when it
/// is first written, and that must not be under the first messages of a day.
pub fn ring<T: Copy>(places: usize, filler: T) -> (Producer<T>, Consumer<T>) {
    let (mut into, mut out) = RingBuffer::new(places);
    while into.push(filler).is_ok() {}
    while out.pop().is_ok() {}
    (into, out)
}
