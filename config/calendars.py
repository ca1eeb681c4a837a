"""Prints the [calendars.*] tables of contracts.toml from QuantConnect/Lean's market-hours database.

    python3 config/calendars.py market-hours-database.json data/futures_daily > calendars.toml

Lean names calendar dates, we name trade dates (the date of a session's close), and its lists have
two layers: the symbol's own and the market's, older one. What this script does about it:

- An early close of the symbol is an early close. It wins over a holiday of the same date: the
  market's list has settlement holidays on which Globex trades until noon.
- Other holidays of either list are holidays, and so are late opens without an early close: nothing
  trades before the evening, which is the next trade date.
- A holiday on which data/futures_daily has a bar was none (hurricane Sandy, 2012-10-29 and 30).
- Late opens beside an early close, at the usual time of the open, need no entry.
- Weekends and closes at the usual time are dropped.
- What the lists lack or have wrongly stands in CORRECTIONS.
"""

import csv
import datetime as dt
import gzip
import json
import sys

FIRST, LAST = dt.date(2010, 1, 1), dt.date(2026, 12, 31)

# calendar -> (holidays that were none, holidays that are missing, early closes that are missing)
CORRECTIONS = {
    # Day of mourning for a president: shares were shut, equity futures closed at 09:30.
    "cme_equity": ([], ["2025-12-25"], {"2025-01-09": "09:30"}),
    "nymex_energy": ([], ["2025-12-25"], {}),
    "comex_metals": (["2025-01-09"], [], {}),
    # The source has no list of the CBOT. The exchange group's full closures are the same, but for
    # the day of mourning of 2018, which was for equities, and the hurricane of 2012.
    "cbot_treasury": (["2012-10-29", "2012-10-30", "2018-12-05"], ["2025-12-25"], {}),
}

# name, Lean's entry, market's entry, symbols of data/futures_daily, comment
CALENDARS = [
    ("cme_equity", "Future-cme-ES", "Future-cme-[*]", ["ES", "NQ"],
     "E-mini equity index futures of CME and CBOT: 17:00 to 16:00 in Chicago."),
    ("nymex_energy", "Future-nymex-CL", "Future-nymex-[*]", ["CL"], "Energy futures of NYMEX."),
    ("comex_metals", "Future-comex-GC", "Future-comex-[*]", ["GC"],
     "Metal futures of COMEX. The source has no early closes of theirs before 2024."),
    ("cbot_treasury", "Future-cbot-ZN", "Future-cme-[*]", [], "Treasury futures of CBOT."),
]
DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu"]  # on which a session opens


def date_of(text):
    return dt.datetime.strptime(text, "%m/%d/%Y").date()


def bar_dates(folder, symbol):
    with gzip.open(f"{folder}/{symbol}.csv.gz", "rt") as file:
        return {dt.date.fromisoformat(row["Date"]) for row in csv.DictReader(file)}


def wanted(date):
    return FIRST <= date <= LAST and date.weekday() < 5


def hours(entry):
    """Open (evening) and close (next day) of the one session a day that futures have."""
    opens = entry["sunday"][0]["start"][:5]
    days = ["monday", "tuesday", "wednesday", "thursday"]
    assert all(entry[day][-1]["start"][:5] == opens for day in days)
    closes = {entry[day][1]["end"][:5] for day in days + ["friday"]}
    assert len(closes) == 1
    return opens, closes.pop()


def print_calendar(entries, folder, row):
    name, own_key, market_key, symbols, comment = row
    own, market = entries[own_key], entries[market_key]
    opens, closes = hours(own)
    early = {date_of(d): t[:5] for d, t in own["earlyCloses"].items()}
    late = {date_of(d): t[:5] for d, t in own["lateOpens"].items()}
    assert set(late.values()) == {opens}, "a late open at an unusual time needs thought"
    holidays = {date_of(d) for d in own["holidays"] + market["holidays"]}
    holidays |= {d for d in late if d not in early}
    none, missing, missing_early = CORRECTIONS[name]
    holidays -= {dt.date.fromisoformat(d) for d in none}
    holidays |= {dt.date.fromisoformat(d) for d in missing}
    early |= {dt.date.fromisoformat(d): time for d, time in missing_early.items()}
    for symbol in symbols:
        holidays -= bar_dates(folder, symbol)
    early = {d: t for d, t in early.items() if wanted(d) and t != closes}
    assert all(t < closes for t in early.values())
    holidays = sorted(d for d in holidays if wanted(d) and d not in early)

    print(f"# {comment}")
    print(f"[calendars.{name}]")
    print(f'timezone = "{own["exchangeTimeZone"]}"')
    print(f'open = "{opens}"')
    print(f'close = "{closes}"')
    print(f"days = {json.dumps(DAYS)}")
    print("holidays = [")
    for year in range(FIRST.year, LAST.year + 1):
        dates = [f'"{d}"' for d in holidays if d.year == year]
        for start in range(0, len(dates), 7):
            print("  " + ", ".join(dates[start:start + 7]) + ",")
    print("]")
    print(f"\n[calendars.{name}.early_closes]")
    for date in sorted(early):
        print(f'{date} = "{early[date]}"')
    print()


def main():
    database, folder = sys.argv[1:]
    with open(database) as file:
        entries = json.load(file)["entries"]
    for row in CALENDARS:
        print_calendar(entries, folder, row)


main()
