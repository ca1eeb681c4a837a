//! The threads: rings between duty cycles, cores, start and stop. The core knows nothing of it.
//!
//! ```text
//!   gateway --inputs--> engine --orders--> broker
//!      ^                 |  ^                |
//!      +---feedback------+  +----reports-----+
//!                        |
//!                        +--records--> journal --> log <-- disk
//! ```
//!
//! Beside them a ring of commands leads into the engine, from whoever holds a [`Control`].

mod agent;
mod broker_loop;
mod catch_up;
mod clock;
mod control;
mod disk_loop;
mod gateway_loop;
mod hot_loop;
mod idle;
mod journal_loop;
mod lag;
mod latency;
mod pin;
mod ring;
mod settings;
mod shared;
mod wire;

pub use agent::{Agent, Findings, Turn, run};
pub use broker_loop::{BrokerEnds, BrokerLoop};
pub use catch_up::catch_up;
pub use clock::Clock;
pub use control::{Control, ControlError};
pub use disk_loop::DiskLoop;
pub use gateway_loop::{Feed, GatewayEnds, GatewayLoop, GatewayPlan, Progress, Tick};
pub use hot_loop::{HotEnds, HotLoop};
pub use idle::Waiter;
pub use journal_loop::JournalLoop;
pub use lag::Lag;
pub use latency::{Latencies, Percentiles, Stage};
pub use pin::{Cores, Layout, pin};
pub use ring::ring;
pub use settings::RuntimeSettings;
pub use shared::{Halt, Shared};
pub use wire::{Command, Dispatch, Feedback, Inbound, ToBroker, ToEngine};

use crate::broker::Broker;
use crate::codec::Slot;
use crate::config::{Idle, Pace, Release, SyncPolicy};
use crate::engine::{Engine, Outbound, Output, State};
use crate::journal::{Journal, JournalError};
use crate::resume::Resumed;
use crate::settings::Settings;
use crate::units::Ts;
use std::thread::{Builder, JoinHandle};

/// Messages in the rings of inputs, reports and positions: a burst of the open. The ring of orders
/// has as many beside the cancels that are kept for a kill.
const MESSAGE_RING: usize = 4_096;

/// Why the threads did not start.
#[derive(Debug)]
pub enum StartError {
    /// A setting that cannot be had.
    Settings(String),
    /// The log's head could not be written.
    Journal(JournalError),
    /// The machine gives no thread.
    Thread(std::io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Settings(what) => f.write_str(what),
            Self::Journal(error) => write!(f, "{error}"),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// What the threads are made of.
pub struct Parts {
    /// What the core is set to.
    pub settings: Settings,
    /// How the threads run.
    pub runtime: RuntimeSettings,
    /// Where the log goes: new, nothing appended.
    pub journal: Journal,
    /// Where the orders go.
    pub broker: Box<dyn Broker + Send>,
    /// Where market data and signals come from.
    pub gateway: GatewayPlan,
    /// The time of the log's head: no later than the first input's.
    pub opened: Ts,
    /// A halt that stands from before, in the words of whoever halted: taken before anything else.
    pub halted: Option<String>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("runtime", &self.runtime).finish_non_exhaustive()
    }
}

/// Running threads.
#[derive(Debug)]
pub struct Running {
    control: Control,
    cores: Cores,
    engine: JoinHandle<(Engine, bool)>,
    others: Vec<JoinHandle<Findings>>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The engine's last state.
    pub state: State,
    /// What was measured.
    pub latencies: Latencies,
    /// The log's last sequence number, or what kept it from going on.
    pub journal: Result<u64, JournalError>,
    /// Why not all of the log is sealed: it is whole, and the next recovery makes what is missing.
    pub unsealed: Option<JournalError>,
    /// Where the threads ran.
    pub cores: Cores,
    /// Whether the engine thread got its core.
    pub pinned: bool,
}

/// Collects the records of a log's head.
#[derive(Default)]
struct HeadRecords(Vec<Slot>);

impl Output for HeadRecords {
    fn record(&mut self, slots: &[Slot]) {
        self.0.extend_from_slice(slots);
    }

    fn send(&mut self, _outbound: &Outbound) {}
}

/// Builds the rings, writes the log's head, starts the threads. All memory is taken before it
/// returns.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub fn start(parts: Parts) -> Result<Running, StartError> {
    let Parts { settings, runtime, mut journal, broker, gateway, opened, halted } = parts;
    runtime.check(&settings).map_err(StartError::Settings)?;
    let config = crate::config::canonical::write(&settings);
    let mut engine = Engine::new(settings);
    let mut head = HeadRecords::default();
    let build = concat!("trade_engine ", env!("CARGO_PKG_VERSION"));
    engine.open_log(opened, build, &config, &mut head);
    journal.append(&head.0).map_err(StartError::Journal)?;
    launch(engine, journal, Around { runtime, broker, gateway, halted })
}

/// What goes on around an engine that has been taken up from its log.
pub struct Around {
    /// How the threads run.
    pub runtime: RuntimeSettings,
    /// Where the orders go: the broker that was asked what it has.
    pub broker: Box<dyn Broker + Send>,
    /// Where market data and signals come from: see [`catch_up`].
    pub gateway: GatewayPlan,
    /// As [`Parts::halted`]; a halt in the log stands without it.
    pub halted: Option<String>,
}

impl std::fmt::Debug for Around {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Around").field("runtime", &self.runtime).finish_non_exhaustive()
    }
}

/// Starts the threads around an engine that has been taken up from its log and has asked the venue.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub fn resume(resumed: Resumed, around: Around) -> Result<Running, StartError> {
    let Resumed { engine, journal } = resumed;
    around.runtime.check(engine.state().settings()).map_err(StartError::Settings)?;
    launch(engine, journal, around)
}

fn launch(engine: Engine, journal: Journal, around: Around) -> Result<Running, StartError> {
    let Around { runtime, broker, gateway, halted } = around;
    assert!(!engine.state().is_reconciling(), "the venue has been asked");
    let cores = Cores::plan(runtime.engine_core).map_err(StartError::Settings)?;
    let orders_max = engine.state().settings().capacity.orders;
    let orders_ring = MESSAGE_RING + hot_loop::orders_ring_min(orders_max);
    let (shared, clock) = (Shared::default(), Clock::new());
    let (control, commands) = Control::new(shared.clone());
    if let Some(reason) = halted {
        control.kill(&reason);
    }
    let (inputs_in, inputs_out) = ring(MESSAGE_RING, Inbound::EMPTY);
    let (reports_in, reports_out) = ring(MESSAGE_RING, Inbound::EMPTY);
    let (orders_in, orders_out) = ring(orders_ring, ToBroker::EMPTY);
    let (feedback_in, feedback_out) = ring(MESSAGE_RING, Feedback::Probe);
    let (records_in, records_out) = ring(runtime.event_ring_slots, [0; 8]);

    let ends = HotEnds {
        control: commands,
        reports: reports_out,
        inputs: inputs_out,
        records: records_in,
        orders: orders_in,
        feedback: feedback_in,
    };
    let gateway_ends = GatewayEnds { inputs: inputs_in, feedback: feedback_out };
    // A feed that waits for the engine has no other time than the engine's.
    let is_live = matches!(gateway.pace, Pace::Realtime(_));
    let timer = runtime.timer_interval_ms;
    let gateway_loop =
        GatewayLoop::new(gateway, gateway_ends, timer, shared.clone(), clock.clone());
    let gateway_loop = gateway_loop.resume(engine.state());
    let hot_loop = HotLoop::new(engine, ends, shared.clone(), clock.clone());
    // An order that waits for the disk must not wait for the interval too.
    let synced = runtime.release == Release::Synced;
    let sync = if synced { SyncPolicy::EveryBatch } else { runtime.sync };
    let lag = runtime.log_behind_ms.filter(|_| is_live).map(|ms| Lag::new(ms, sync));
    let hot_loop = hot_loop.watching(lag);
    let (journal_loop, disk_loop) =
        JournalLoop::new(journal, records_out, shared.clone(), clock.clone(), sync);
    let disk_loop = disk_loop.sharing_core(cores.layout != Layout::Many);
    let broker_ends = BrokerEnds { orders: orders_out, inbound: reports_in };
    let broker_loop = BrokerLoop::new(broker, broker_ends, runtime.release, shared, clock);

    let cycles: Vec<(&str, Box<dyn Agent>, Idle)> = vec![
        ("journal", Box::new(journal_loop), runtime.idle_journal),
        ("broker", Box::new(broker_loop), runtime.idle_broker),
        ("gateway", Box::new(gateway_loop), runtime.idle_gateway),
    ];
    // The others first: a thread inherits its parent's pin, and the parent is never pinned.
    let mut others = start_others(cycles, &cores).map_err(StartError::Thread)?;
    others.push(start_disk(disk_loop, &cores).map_err(StartError::Thread)?);
    let engine = start_engine(hot_loop, &runtime, &cores).map_err(StartError::Thread)?;
    Ok(Running { control, cores, engine, others })
}

fn start_engine(
    mut hot_loop: HotLoop,
    runtime: &RuntimeSettings,
    cores: &Cores,
) -> std::io::Result<JoinHandle<(Engine, bool)>> {
    let core = cores.engine;
    // With one core a spinning engine would keep everybody else from running.
    let idle = if cores.layout == Layout::One { Idle::Yield } else { runtime.idle_engine };
    Builder::new().name("engine".to_owned()).spawn(move || {
        let pinned = core.is_some_and(pin);
        let waiter = Waiter::new(idle);
        loop {
            match hot_loop.do_work() {
                Turn::Worked => waiter.wait(true),
                Turn::Idle => waiter.wait(false),
                Turn::Done => return (hot_loop.into_engine(), pinned),
            }
        }
    })
}

fn start_others(
    cycles: Vec<(&'static str, Box<dyn Agent>, Idle)>,
    cores: &Cores,
) -> std::io::Result<Vec<JoinHandle<Findings>>> {
    if cores.layout == Layout::Many {
        let places = cores.others.iter().copied().map(Some).chain(std::iter::repeat(None));
        return cycles
            .into_iter()
            .zip(places)
            .map(|((name, agent, idle), core)| spawn(name, vec![agent], idle, core))
            .collect();
    }
    // One thread for all: it may only spin if none of them wants to let go.
    let idles: Vec<Idle> = cycles.iter().map(|(_, _, idle)| *idle).collect();
    let shares = |idle: Idle| idles.contains(&idle);
    let idle = match (shares(Idle::Park), shares(Idle::Yield)) {
        (true, _) => Idle::Park,
        (false, true) => Idle::Yield,
        (false, false) if cores.layout == Layout::One => Idle::Yield,
        (false, false) => Idle::Spin,
    };
    let core = if cores.layout == Layout::One { None } else { cores.others.first().copied() };
    let agents = cycles.into_iter().map(|(_, agent, _)| agent).collect();
    Ok(vec![spawn("journal+broker+gateway", agents, idle, core)?])
}

/// However few cores there are, a sync that does not come back holds no other duty cycle.
fn start_disk(disk_loop: DiskLoop, cores: &Cores) -> std::io::Result<JoinHandle<Findings>> {
    let spare = match cores.layout {
        Layout::Many => cores.others.get(3),
        Layout::Few => cores.others.first(),
        Layout::One => None,
    };
    // It sleeps by itself.
    spawn("disk", vec![Box::new(disk_loop)], Idle::Spin, spare.copied())
}

fn spawn(
    name: &str,
    agents: Vec<Box<dyn Agent>>,
    idle: Idle,
    core: Option<usize>,
) -> std::io::Result<JoinHandle<Findings>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        // Off the engine's core if that can be had; a refusal costs speed, not truth.
        let _ = core.is_some_and(pin);
        run(agents, &Waiter::new(idle))
    })
}

impl Running {
    /// The handle that stops it, also from a signal handler.
    pub fn shared(&self) -> Shared {
        self.control.shared().clone()
    }

    /// The handle that commands it, from any thread: the kill switch among others.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Whether it has come to its end by itself.
    pub fn is_finished(&self) -> bool {
        self.engine.is_finished() && self.others.iter().all(JoinHandle::is_finished)
    }

    /// Waits for the end: of the feed, or after [`Shared::stop`].
    ///
    /// # Panics
    /// If a thread panicked, which is a bug of ours.
    pub fn join(self) -> Outcome {
        let (engine, pinned) = self.engine.join().expect("the engine thread does not panic");
        let mut findings = Findings::default();
        for other in self.others {
            findings.merge(other.join().expect("a duty cycle does not panic"));
        }
        let journal = findings.journal.expect("the journal always says how it ended");
        let (journal, unsealed) = match (journal, findings.unsealed) {
            // The sealer's was the sync that failed: it knows why.
            (Err(JournalError::SyncFailed { .. }), Some(cause)) => (Err(cause), None),
            ends => ends,
        };
        Outcome {
            state: engine.state().clone(),
            latencies: findings.latencies,
            journal,
            unsealed,
            cores: self.cores,
            pinned,
        }
    }
}
