//! A limit that a person changes while the engine runs: in the log like any input, in the hash, and
//! in force from the next order on.

#[path = "common/pit.rs"]
#[allow(dead_code, reason = "shared by several tests, each of which uses a part")]
mod pit;

use pit::*;
use trade_engine::code::Code;
use trade_engine::event::Event;
use trade_engine::input::Input;
use trade_engine::instrument::InstrumentId;
use trade_engine::limits::{MONEY_SCALE, RATE_MAX};
use trade_engine::settings::{LimitError, LimitKey, Limits, Scope};
use trade_engine::units::Money;
use trade_engine::units::Side::Buy;

fn set(scope: Scope, instrument: InstrumentId, strategy: u16, key: LimitKey) -> Input {
    Input::SetLimit { scope, instrument, strategy, key, value: Some(whole(1)) }
}

fn with(input: Input, to: Option<Money>) -> Input {
    let Input::SetLimit { scope, instrument, strategy, key, .. } = input else {
        panic!("no limit")
    };
    Input::SetLimit { scope, instrument, strategy, key, value: to }
}

#[test]
fn every_limit_of_every_scope_can_be_set_and_switched_off() {
    let mut pit = Pit::with(Limits::OFF);
    for key in LimitKey::ALL {
        for scope in Scope::ALL {
            if scope != Scope::Account && !key.is_scoped() {
                continue;
            }
            let before = pit.state().hash();
            let events = pit.step(set(scope, NQ, 2, *key));
            let (instrument, strategy, key, value) = (NQ, 2, *key, Some(whole(1)));
            assert_eq!(events, [Event::LimitSet { scope, instrument, strategy, key, value }]);
            let limits = |pit: &Pit, scope, instrument, strategy| {
                let risk = &pit.state().settings().risk;
                risk.limits_of(scope, instrument, strategy).expect("a scope").get(key)
            };
            assert_eq!(limits(&pit, scope, NQ, 2), value, "{key:?} {scope:?}");
            assert_ne!(pit.state().hash(), before);
            // Nobody else's has changed.
            if scope != Scope::Account {
                assert_eq!(limits(&pit, Scope::Account, NQ, 2), None);
                assert_eq!(limits(&pit, scope, ES, 1), None);
            }
            let events = pit.step(with(set(scope, NQ, 2, key), None));
            assert!(matches!(events[..], [Event::LimitSet { value: None, .. }]), "{events:?}");
            assert_eq!(limits(&pit, scope, NQ, 2), None);
        }
    }
    assert_eq!(pit.state().settings().risk.limits, Limits::OFF);
    pit.agrees();
}

#[test]
fn what_cannot_be_set_is_refused_by_name() {
    let (key, none) = (LimitKey::MaxRepeats, InstrumentId::UNKNOWN);
    let rate = LimitKey::MaxOrdersPerSecond;
    let most = Some(Money(RATE_MAX as i128 * MONEY_SCALE));
    let account = |key, to| with(set(Scope::Account, none, 0, key), to);
    let cases = [
        (set(Scope::Instrument, none, 0, key), Some(Code::UnknownSymbol)),
        (set(Scope::Instrument, InstrumentId(2), 0, key), Some(Code::UnknownSymbol)),
        (set(Scope::Instrument, InstrumentId(1), 0, key), None),
        (set(Scope::Strategy, none, 0, key), Some(Code::Capacity)),
        (set(Scope::Strategy, none, 3, key), Some(Code::Capacity)),
        (set(Scope::Strategy, none, 2, key), None),
        (set(Scope::Strategy, none, 1, LimitKey::MaxLeverage), Some(Code::Capacity)),
        (set(Scope::Instrument, ES, 0, LimitKey::DuplicateWindowMs), Some(Code::Capacity)),
        (account(key, Some(Money(-1))), Some(Code::Overflow)),
        (account(key, Some(Money(i128::MIN))), Some(Code::Overflow)),
        (account(key, Some(Money(MONEY_SCALE / 2))), Some(Code::Overflow)),
        (account(key, Some(whole(1 << 32))), Some(Code::Overflow)),
        (account(key, Some(whole((1 << 32) - 1))), None),
        (account(LimitKey::MaxPositionPct, Some(Money(1))), Some(Code::Overflow)),
        (account(LimitKey::MaxPositionPct, Some(Money(1_000_000_000))), None),
        (account(rate, most.map(|most| Money(most.0 + MONEY_SCALE))), Some(Code::Overflow)),
        (account(LimitKey::MaxMessagesPerSecond, most), None),
        (account(rate, most), None),
        (account(rate, most), Some(Code::NoChange)),
        (account(LimitKey::MaxLeverage, None), Some(Code::NoChange)),
    ];
    let mut pit = Pit::with(Limits::OFF);
    for (input, expected) in cases {
        let before = pit.state().settings().clone();
        let events = pit.step(input);
        assert_eq!(refusal(&events), expected, "{input}");
        assert_eq!(pit.state().settings() == &before, expected.is_some(), "{input}");
    }
    pit.agrees();
}

#[test]
fn it_binds_the_next_order() {
    let mut pit = Pit::with(Limits::OFF);
    assert!(pit.limit(Buy, 1, 100).is_ok());
    pit.step(set(Scope::Instrument, ES, 0, LimitKey::MaxRepeats));
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::MaxRepeats));
    assert!(pit.send(limit(NQ, Buy, 1, 100)).is_ok());
    pit.step(with(set(Scope::Instrument, ES, 0, LimitKey::MaxRepeats), Some(whole(2))));
    assert!(pit.limit(Buy, 1, 100).is_ok());
    assert_eq!(pit.limit(Buy, 1, 100), Err(Code::MaxRepeats));
}

/// A drawdown that is past the new limit halts at once, not with the next mark.
#[test]
fn a_drawdown_past_its_new_limit_halts() {
    let mut pit = Pit::with(Limits::OFF);
    pit.hold(1_000);
    pit.mark(ES, 100);
    pit.mark(ES, 50);
    let tenth = Some(Money(MONEY_SCALE / 10));
    let drawdown = set(Scope::Account, ES, 0, LimitKey::MaxDrawdownPct);
    // 50,000 of a million.
    assert_eq!(pit.step(with(drawdown, tenth)).len(), 1);
    assert_eq!(pit.state().halted(), None);
    let events = pit.step(with(drawdown, Some(Money(MONEY_SCALE / 100))));
    assert_eq!(events[1], Event::Halted { reason: Code::MaxDrawdown });
    pit.agrees();
}

/// A rate past what can be counted is no limit that a person may write down, in a file or a command.
#[test]
fn a_rate_is_one_that_can_be_counted() {
    for key in [LimitKey::MaxOrdersPerSecond, LimitKey::MaxMessagesPerSecond] {
        let most = RATE_MAX as i128;
        assert_eq!(key.read(&most.to_string()), Ok(Some(whole(most))));
        assert_eq!(key.read(&(most + 1).to_string()), Err(LimitError::OutOfRange));
    }
    assert_eq!(LimitKey::MaxRepeats.read("10001"), Ok(Some(whole(10_001))));
}
