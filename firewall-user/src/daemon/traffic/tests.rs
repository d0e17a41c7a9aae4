use super::*;
use crate::store::Store;

const SECOND: u64 = 1_000_000_000;
/// A full hour.
const START: i64 = 1_900_000_800 / HOUR * HOUR;
const BULB: EdgeId = EdgeId(16);
const HUB: EdgeId = EdgeId(17);
const SOURCE: PrincipalId = PrincipalId(5);

/// So many seconds behind the start.
fn at(seconds: i64) -> Now {
    let boot_ns = seconds.unsigned_abs() * SECOND + 1_000 * SECOND;
    Now { boot_ns, unix: START + seconds, synchronised: true, ..Now::default() }
}

fn cells(row: &Row) -> Vec<(u32, u32)> {
    row.cells.iter().map(|(&edge, &kilobytes)| (edge, kilobytes)).collect()
}

fn carried(store: &Store, traffic: &Traffic, hours: i64) -> view::Traffic {
    let past = Past::between(START, START + hours * HOUR).expect("it is less than a day");
    serde_json::from_value(past.read(store, &traffic.rows()).unwrap()).unwrap()
}

#[test]
fn it_is_written_every_five_minutes_and_what_is_left_counts_later() {
    let mut traffic = Traffic::default();
    traffic.note(BULB, SOURCE, 1_500, at(0));
    let [Change::AddHour { row, .. }] = &traffic.changes(at(0))[..] else {
        panic!("the first is due at once")
    };
    assert_eq!(cells(row), [(BULB.0, 1)]);
    traffic.note(BULB, SOURCE, 600, at(10));
    traffic.note(HUB, SOURCE, 40, at(10));
    assert_eq!(traffic.changes(at(299)), [], "less than five minutes have passed");
    let [Change::AddHour { row, .. }] = &traffic.changes(at(300))[..] else { panic!("it is due") };
    assert_eq!(cells(row), [(BULB.0, 1), (HUB.0, 0)], "500 bytes were left of what came first");
    assert_eq!(traffic.changes(at(900)), [], "nothing was carried since");
}

#[test]
fn the_end_of_an_hour_is_not_lost_between_two_writes() {
    let mut traffic = Traffic::default();
    traffic.note(BULB, SOURCE, 2_000, at(HOUR - 20));
    assert_eq!(traffic.changes(at(HOUR - 20)).len(), 1);
    traffic.note(BULB, SOURCE, 3_000, at(HOUR - 10));
    traffic.note(BULB, SOURCE, 5_000, at(HOUR));
    let changes = traffic.all_changes(at(HOUR));
    let [Change::AddHour { hour: first, row: before }, Change::AddHour { hour: second, row: after }] =
        &changes[..]
    else {
        panic!("{changes:?}")
    };
    assert_eq!(second - first, 1);
    assert_eq!((cells(before), cells(after)), (vec![(BULB.0, 3)], vec![(BULB.0, 5)]));
}

#[test]
fn what_is_asked_is_what_was_stored_and_what_is_not_yet() {
    let folder = tempfile::tempdir().unwrap();
    let mut traffic = Traffic::default();
    {
        let store = Store::open(folder.path()).unwrap().store;
        traffic.note(BULB, SOURCE, 2_000, at(0));
        store.write(&traffic.changes(at(0))).unwrap();
    }
    // A restart of the daemon in the same hour, and of the store.
    let store = Store::open(folder.path()).unwrap().store;
    let mut traffic = Traffic::default();
    traffic.note(BULB, SOURCE, 3_000, at(60));
    traffic.note(HUB, SOURCE, 9_000, at(60));
    let now = carried(&store, &traffic, 1);
    let pairs: Vec<(u32, u64)> = now.edges.iter().map(|one| (one.edge, one.kilobytes)).collect();
    assert_eq!((pairs, now.complete), (vec![(HUB.0, 9), (BULB.0, 5)], true), "the busiest first");
    store.write(&traffic.all_changes(at(60))).unwrap();
    assert_eq!(carried(&store, &traffic, 1), now, "written, it is the same");
    let hours = Past::all(at(HOUR)).read(&store, &[]).unwrap();
    let hours: Vec<view::Hour> = serde_json::from_value(hours).unwrap();
    assert_eq!(hours, [view::Hour { from: START, edges: 2, kilobytes: 14 }]);
}

#[test]
fn one_source_takes_no_more_than_its_share_of_an_hour() {
    let mut traffic = Traffic::default();
    for edge in 0..100_000 {
        traffic.note(EdgeId(100 + edge), SOURCE, 1_000, at(0));
    }
    traffic.note(BULB, PrincipalId(6), 1_000, at(0));
    let [(_, row)] = &traffic.rows()[..] else { panic!("{:?}", traffic.rows().len()) };
    assert_eq!(row.cells.len(), EDGES_PER_SOURCE + 1);
    assert!(row.cells.contains_key(&BULB.0), "others have theirs");
    assert!(row.is_cut, "and it is said");
    traffic.note(BULB, PrincipalId(6), 1_000, at(HOUR));
    assert!(!traffic.rows()[1].1.is_cut, "the next hour begins anew");
}

#[test]
fn at_most_a_day_is_asked_about_at_once() {
    for (from, until) in [(0, 0), (HOUR, 0), (0, 26 * HOUR), (i64::MIN, i64::MAX), (i64::MAX, i64::MIN)] {
        assert!(Past::between(from, until).is_err(), "{from} to {until}");
    }
    assert_eq!(Past::between(0, 25 * HOUR), Ok(Past::Edges(0..25)));
    // A zone whose hours begin at half past.
    assert_eq!(Past::between(HOUR / 2, HOUR / 2 + HOUR), Ok(Past::Edges(1..2)));
}
