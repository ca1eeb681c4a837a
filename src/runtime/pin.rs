//! Which core a thread runs on. Where a core cannot be had, the thread runs on and says so.

use core_affinity::CoreId;

/// The threads of a runtime, by how many cores there are (`design`: cores).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One core: the engine yields, the other duty cycles share a thread, nothing is pinned.
    One,
    /// Two or three: the engine is pinned, the other duty cycles share one thread.
    Few,
    /// Four or more: a thread each, the engine pinned.
    Many,
}

/// Where the threads go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores {
    /// How the duty cycles are spread.
    pub layout: Layout,
    /// Cores this process may use.
    pub count: usize,
    /// The engine's, if it is to be pinned.
    pub engine: Option<usize>,
    /// The other threads', so that they keep off the engine's.
    pub others: Vec<usize>,
}

/// Ids above this make the affinity crate abort the process: the kernel's set has so many bits.
const CORE_ID_MAX: usize = 1_023;

impl Cores {
    /// Looks at the machine once, before any thread is pinned: a pinned thread sees its own core
    /// alone, and its children inherit the pin.
    ///
    /// # Errors
    /// A line for a person, if the wanted core is none of ours.
    pub fn plan(engine: Option<usize>) -> Result<Self, String> {
        let ids: Vec<usize> = core_affinity::get_core_ids()
            .unwrap_or_default()
            .into_iter()
            .map(|core| core.id)
            .filter(|id| *id <= CORE_ID_MAX)
            .collect();
        if let Some(wanted) = engine
            && !ids.contains(&wanted)
        {
            return Err(format!("core {wanted} is not one of this process's: {ids:?}"));
        }
        let layout = match ids.len() {
            0 | 1 => Layout::One,
            2 | 3 => Layout::Few,
            _ => Layout::Many,
        };
        // The last core by default: the first ones take most interrupts.
        let engine = engine.or_else(|| ids.last().copied()).filter(|_| layout != Layout::One);
        let others = ids.iter().copied().filter(|id| Some(*id) != engine).collect();
        Ok(Self { layout, count: ids.len(), engine, others })
    }
}

/// Pins the calling thread to a core. `false` where that is refused.
#[must_use]
pub fn pin(core: usize) -> bool {
    core <= CORE_ID_MAX && core_affinity::set_for_current(CoreId { id: core })
}
