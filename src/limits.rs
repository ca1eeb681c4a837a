//! Every capacity and bound, with its reason, asserted against the others.
//!
//! A bound that a configuration may lower is a default here; a bound that the arithmetic or the log
//! format rests on is a constant. Names end in `_max`, units come before it.

/// Decimal digits of a [`Price`](crate::units::Price) and a [`Ratio`](crate::units::Ratio): 1e-9.
pub const PRICE_DECIMALS: u32 = 9;
/// Units of one whole price: 1e9.
pub const PRICE_SCALE: i64 = 1_000_000_000;
/// Decimal digits of [`Money`](crate::units::Money): 1e-18, a price times a lot's value.
pub const MONEY_DECIMALS: u32 = 18;
/// Units of one whole unit of currency: 1e18.
pub const MONEY_SCALE: i128 = 1_000_000_000_000_000_000;

/// Largest magnitude of a price, in 1e-9: a billion units of the quote currency. A share of the
/// most expensive company costs a million, a bitcoin in rupiah two billion thousandths of that.
pub const PRICE_MAX: i64 = 1_000_000_000 * PRICE_SCALE;
/// Largest value of one lot (`lot_size` x `multiplier`), in 1e-9: a hundred million, eight times
/// the largest listed contract (12,500,000 yen).
pub const LOT_VALUE_MAX: i64 = 100_000_000 * PRICE_SCALE;
/// Largest quantity of an order or a position, in lots. An instrument with large lots has a lower
/// bound of its own: see [`Instrument::qty_limit`](crate::instrument::Instrument::qty_limit).
pub const QTY_MAX: i64 = 1_000_000_000_000;
/// Largest magnitude of one notional, in 1e-18: 1e37, a seventeenth of what `i128` holds, so that a
/// sum of two products and a balance never leaves it unseen.
pub const NOTIONAL_MAX: i128 = 10_i128.pow(37);
/// Largest magnitude of a balance (equity, realized P&L, commission), in 1e-18.
pub const BALANCE_MAX: i128 = 4 * NOTIONAL_MAX;

/// Instruments one engine trades.
pub const INSTRUMENTS_MAX: usize = 1_024;
/// Orders held at once, finished ones that are not yet retired included.
pub const ORDERS_MAX: usize = 16_384;
/// Replaces outstanding for one order; one cancel has its place beside them.
pub const REQUESTS_PER_ORDER_MAX: usize = 8;
/// Contingent orders at once: five hundred brackets, the entry not counted. Their links, which
/// every change of an order looks through, then take 24 KiB: they stay in the first cache.
pub const CONTINGENTS_MAX: usize = 1_024;
/// Contingent orders that one turn looks at: each looks at all others of its instrument.
pub const CONTINGENT_VISITS_MAX: usize = 32;
/// Slots that one contingent order may need in a turn: the records of an order that is let go and
/// breaks every rule there is.
pub const CONTINGENT_SLOTS_MAX: usize = 64;
/// How often the engine asks for the same contingent order between two things that happen to it.
pub const CONTINGENT_TRIES_MAX: u8 = 4;
/// After so long without success, a price or a timer is reason enough to try again: a second.
pub const CONTINGENT_RETRY_NS: i64 = 1_000_000_000;
/// Executions remembered for duplicate detection, for the life of the log.
pub const EXECUTIONS_MAX: usize = 1 << 20;
/// Executions kept free for reports when the table is nearly full: new orders are refused before.
pub const EXECUTIONS_RESERVE: usize = 1 << 12;
/// Trades of one instrument that a bust or a correction is recomputed over: those since it was last
/// flat, and not more, since the engine thread does it between two inputs: 4,096 take it about a
/// millisecond. Of an older one the opposite is booked.
pub const TRADES_KEPT_MAX: u32 = 4_096;
/// Strategies that orders can be attributed to.
pub const STRATEGIES_MAX: usize = 64;
/// Messages to the venue in one second that are counted one by one, and so the largest rate that
/// can be a limit: two hundred times what a broker's interface takes (Interactive Brokers: 50).
pub const RATE_MAX: u32 = 10_000;
/// The span that a rate counts over, in nanoseconds.
pub const RATE_SPAN_NANOS: i64 = 1_000_000_000;
/// Feeders of inputs, each with its own run of order ids.
pub const SOURCES_MAX: usize = 8;
/// Bar closes that a correlation is measured over, at least: two returns are the fewest that can
/// differ.
pub const CORRELATION_WINDOW_MIN: usize = 3;
/// Bar closes that a correlation is measured over, at most.
pub const CORRELATION_WINDOW_MAX: usize = 64;
/// Instruments that one order's correlation warnings name; the first ones in the table's order.
pub const CORRELATION_WARNINGS_MAX: usize = 8;

/// Days that one expansion of a calendar covers: a century, far beyond any data set.
pub const CALENDAR_DAYS_MAX: i64 = 36_600;

/// Bytes of one slot of the log and of the event ring: one cache line.
pub const SLOT_SIZE: usize = 64;
/// Slots of one record.
pub const SLOTS_PER_RECORD_MAX: usize = 8;
/// Orders that one turn of a sweep (cancel all, retire at the day roll) handles: bounded work.
pub const SWEEP_ORDERS_MAX: usize = 32;
/// Places of the order table that one turn of a sweep looks at: empty ones cost little, but not
/// nothing.
pub const SWEEP_SLOTS_MAX: usize = 1_024;
/// Slots that one input may cause, its own included. A hot loop takes an input only if so many fit.
pub const SLOTS_PER_INPUT_MAX: usize = 256;
/// Records that the words of an operator's command may take.
pub const REASON_PARTS_MAX: usize = 4;
/// Bytes of such words; longer ones are cut. A record holds 62, or 59 where a character of four
/// would not fit.
pub const REASON_BYTES_MAX: usize = 59 * REASON_PARTS_MAX;
/// Slots of the event ring that signals may not use: kept for execution reports.
pub const REPORT_RESERVE_SLOTS: usize = 1_024;
/// Slots of the event ring between the engine and the journal thread.
pub const EVENT_RING_SLOTS: usize = 32_768;
/// Smallest event ring that can be configured: a few inputs' worth, so that intake need not stop
/// after each. How many orders are held at once may ask for more: see [`event_ring_slots_min`].
pub const EVENT_RING_SLOTS_MIN: usize = 8 * SLOTS_PER_INPUT_MAX;
/// Largest event ring that can be configured: 64 MiB.
pub const EVENT_RING_SLOTS_MAX: usize = 1 << 20;

/// How far every feeder's ids go on past the last one in a log that is taken up again: what had
/// been used and not been recorded lay in the event ring, at least a slot each.
pub const RESTART_IDS_GAP: u64 = EVENT_RING_SLOTS_MAX as u64;

/// Slots of the event ring that the words of a kill take: two a record, and a checkpoint that may
/// fall behind each.
pub const KILL_WORDS_SLOTS: usize = 3 * REASON_PARTS_MAX;

/// Slots of the event ring that a kill takes where `orders` are held: one for each cancel, and for
/// each turn of the sweep its input, its end and a checkpoint; the halt and, where it finds a halt,
/// the sweep of its own that then follows come to eight.
pub const fn kill_slots(orders: usize) -> usize {
    let turns = orders / SWEEP_ORDERS_MAX + orders / SWEEP_SLOTS_MAX + 1;
    orders + 3 * turns + 8
}

/// Smallest event ring with which `orders` can be held at once: a kill, the reserve of execution
/// reports, and two inputs.
pub const fn event_ring_slots_min(orders: usize) -> usize {
    let least = KILL_WORDS_SLOTS + kill_slots(orders) + REPORT_RESERVE_SLOTS;
    let least = least + 2 * SLOTS_PER_INPUT_MAX;
    if least > EVENT_RING_SLOTS_MIN { least } else { EVENT_RING_SLOTS_MIN }
}

/// Slots between two checkpoints.
pub const CHECKPOINT_INTERVAL_SLOTS: u64 = 8_192;
/// Fewest that can be configured: a checkpoint hashes all of the state.
pub const CHECKPOINT_INTERVAL_SLOTS_MIN: u64 = SLOTS_PER_INPUT_MAX as u64;
/// Most: a sequence number and an interval never leave 64 bits.
pub const CHECKPOINT_INTERVAL_SLOTS_MAX: u64 = 1 << 40;

/// Bytes of a log segment.
pub const SEGMENT_SIZE: u64 = 64 << 20;
/// Smallest segment that can be configured: one header page and room for a few groups.
pub const SEGMENT_SIZE_MIN: u64 = 64 << 10;
/// Largest segment that can be configured; it is allocated at once, and mapped.
pub const SEGMENT_SIZE_MAX: u64 = 64 << 30;

/// Records, counted in slots, between two snapshots: a replay of so many takes a fraction of a
/// second.
pub const SNAPSHOT_EVERY: u64 = 500_000;
/// Fewest that can be configured: a snapshot may take as many bytes as a million slots do.
pub const SNAPSHOT_EVERY_MIN: u64 = 10_000;
/// Most: no log grows so long, and a sequence number and an interval never leave 64 bits.
pub const SNAPSHOT_EVERY_MAX: u64 = 1 << 40;
/// Segments that a log may be told to keep in its directory.
pub const KEEP_SEGMENTS_MAX: u64 = 1 << 32;
/// Bytes of a snapshot: all executions that can be remembered are a tenth of it.
pub const SNAPSHOT_SIZE_MAX: u64 = 1 << 30;

const _: () = {
    // Every product price x lot value x quantity that an instrument allows stays in NOTIONAL_MAX;
    // `Instrument` lowers its quantity bound until it does. One lot must always be possible.
    assert!((PRICE_MAX as i128) * (LOT_VALUE_MAX as i128) <= NOTIONAL_MAX);
    // A balance plus three notionals is still an i128.
    assert!(BALANCE_MAX < i128::MAX - 3 * NOTIONAL_MAX);
    assert!(QTY_MAX < i64::MAX / 4);
    assert!(PRICE_MAX < i64::MAX / 4);
    assert!(EXECUTIONS_RESERVE < EXECUTIONS_MAX);
    // An execution's place counts from 1 in 32 bits, and one number more says "none".
    assert!(EXECUTIONS_MAX < u32::MAX as usize - 1);
    // An execution keeps its strategy in 8 bits, 0 for nobody.
    assert!(STRATEGIES_MAX < u8::MAX as usize);
    assert!(TRADES_KEPT_MAX > 0);
    // A sweep's turn: two records of at most three slots for each order, and the group's own.
    assert!(SWEEP_ORDERS_MAX * 6 + 32 <= SLOTS_PER_INPUT_MAX);
    // A turn does at least one contingent order, its own records and a checkpoint.
    assert!(CONTINGENT_SLOTS_MAX + 8 <= SLOTS_PER_INPUT_MAX);
    assert!(CONTINGENTS_MAX.is_multiple_of(64));
    assert!(EVENT_RING_SLOTS_MIN <= EVENT_RING_SLOTS);
    assert!(EVENT_RING_SLOTS <= EVENT_RING_SLOTS_MAX);
    // By default a third is left for signals when a kill of every order has its place.
    assert!(event_ring_slots_min(ORDERS_MAX) <= EVENT_RING_SLOTS / 3 * 2);
    assert!(REPORT_RESERVE_SLOTS >= 2 * SLOTS_PER_INPUT_MAX);
    assert!(CHECKPOINT_INTERVAL_SLOTS_MIN <= CHECKPOINT_INTERVAL_SLOTS);
    assert!(SEGMENT_SIZE.is_multiple_of(SEGMENT_SIZE_MIN));
    assert!(CORRELATION_WINDOW_MIN <= CORRELATION_WINDOW_MAX);
    assert!(ORDERS_MAX < u32::MAX as usize);
    assert!(INSTRUMENTS_MAX < u16::MAX as usize);
};
