use std::{collections::BTreeMap, os::unix::fs::FileExt as _};

use proptest::prelude::*;

use super::*;

fn put(key: &str, value: &str) -> Change {
    Change::PutRecord { key: key.into(), value: value.into() }
}

fn open(folder: &Path) -> Opened {
    Store::open(folder).expect("the folder is ours")
}

/// A state file with some entries in every table.
fn filled(folder: &Path) -> PathBuf {
    let Opened { store, set_aside } = open(folder);
    assert_eq!(set_aside, None);
    for part in 0..8 {
        let changes: Vec<Change> = (0..16)
            .map(|number| put(&format!("principal/{part}/{number}"), &"x".repeat(100)))
            .chain([Change::AppendLedger { sequence: part, entry: vec![part as u8; 200] }])
            .collect();
        store.write(&changes).unwrap();
    }
    store.path.clone()
}

#[test]
fn what_was_written_is_read_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    {
        let Opened { store, .. } = open(folder.path());
        store
            .write(&[
                put("a", "1"),
                put("b", "2"),
                Change::RemoveRecord { key: b"a".to_vec() },
                Change::AppendLedger { sequence: 0, entry: b"first".to_vec() },
                Change::PutSession { key: b"hash".to_vec(), value: b"phone".to_vec() },
            ])
            .unwrap();
    }
    let Opened { store, set_aside } = open(folder.path());
    assert_eq!(set_aside, None);
    assert_eq!(store.records().unwrap(), [(b"b".to_vec(), b"2".to_vec())]);
    assert_eq!(store.ledger().unwrap().entries().unwrap(), [b"first".to_vec()]);
    assert_eq!(store.sessions().unwrap(), [(b"hash".to_vec(), b"phone".to_vec())]);
}

#[test]
fn a_second_instance_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    drop(first);
}

#[test]
fn a_file_that_is_no_state_is_set_aside_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    fs::write(&path, b"not a state file, but somebody's").unwrap();
    let Opened { store, set_aside } = open(folder.path());
    assert_eq!(fs::read(set_aside.unwrap()).unwrap(), b"not a state file, but somebody's");
    assert_eq!(store.records().unwrap(), []);
}

#[test]
fn a_file_of_which_nothing_is_left_is_set_aside_as_well() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE), b"").unwrap();
    let Opened { set_aside, .. } = open(folder.path());
    assert_eq!(fs::metadata(set_aside.unwrap()).unwrap().len(), 0);
}

#[test]
fn two_damaged_files_in_one_second_are_both_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let mut kept = Vec::new();
    for content in [b"one", b"two"] {
        fs::write(&path, content).unwrap();
        kept.extend(open(folder.path()).set_aside);
    }
    assert_eq!(fs::read(&kept[0]).unwrap(), b"one");
    assert_eq!(fs::read(&kept[1]).unwrap(), b"two");
}

#[test]
fn a_folder_that_cannot_be_made_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), b"").unwrap();
    let error = Store::open(&folder.path().join("file/state")).unwrap_err();
    assert!(matches!(error, StoreError::Folder { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// After a cut at any byte the file is either usable and holds a state that it once had, or is set aside whole.
    #[test]
    fn a_file_cut_at_any_byte_loses_nothing_that_is_left(permille in 0_u64..1_000) {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(folder.path());
        let whole = fs::metadata(&path).unwrap().len();
        let cut = whole * permille / 1_000;
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(cut).unwrap();
        let left = fs::read(&path).unwrap();

        let Opened { store, set_aside } = open(folder.path());
        match set_aside {
            Some(aside) => {
                prop_assert_eq!(fs::metadata(aside).unwrap().len(), left.len() as u64);
                prop_assert!(store.records().unwrap().is_empty());
            }
            None => prop_assert!(store.records().unwrap().len().is_multiple_of(16)),
        }
    }

    /// Bytes that changed on the disk are never taken for a state that was not written.
    #[test]
    fn a_changed_byte_is_never_a_new_state(permille in 0_u64..1_000, byte: u8) {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(folder.path());
        let file = fs::OpenOptions::new().write(true).read(true).open(&path).unwrap();
        let offset = file.metadata().unwrap().len() * permille / 1_000;
        file.write_at(&[byte], offset).unwrap();
        drop(file);

        let Opened { store, .. } = open(folder.path());
        for (key, value) in store.records().unwrap() {
            prop_assert!(key.starts_with(b"principal/") && value == "x".repeat(100).into_bytes());
        }
    }
}

#[test]
fn many_transactions_leave_what_a_map_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mut oracle = BTreeMap::new();
    {
        let Opened { store, .. } = open(folder.path());
        for step in 0_u32..64 {
            let key = (step * 7 % 13).to_string();
            if step % 5 == 0 {
                oracle.remove(&key);
                store.write(&[Change::RemoveRecord { key: key.into_bytes() }]).unwrap();
            } else {
                oracle.insert(key.clone(), step.to_string());
                store.write(&[put(&key, &step.to_string())]).unwrap();
            }
        }
    }
    let expected: Entries =
        oracle.into_iter().map(|(key, value)| (key.into_bytes(), value.into_bytes())).collect();
    assert_eq!(open(folder.path()).store.records().unwrap(), expected);
}

#[tokio::test]
async fn a_flush_returns_when_all_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()).store);
    let (writer, task) = Writer::start(Arc::clone(&store));
    writer.write(vec![put("a", "1")]).await.unwrap();
    writer.write(vec![put("b", "2")]).await.unwrap();
    writer.flush().await.unwrap();
    assert_eq!(store.records().unwrap().len(), 2);
    writer.write(vec![put("c", "3")]).await.unwrap();
    drop(writer);
    task.await.unwrap().unwrap();
    assert_eq!(store.records().unwrap().len(), 3);
}

/// Adds a row with one edge.
fn carried(store: &Store, hour: u64, edge: u32, kilobytes: u32) {
    let row = Row { cells: [(edge, kilobytes)].into(), is_cut: false };
    store.write(&[Change::AddHour { hour, row }]).unwrap();
}

#[test]
fn hours_are_added_to_and_the_oldest_of_thirty_days_goes() {
    let folder = tempfile::tempdir().unwrap();
    let Opened { store, .. } = open(folder.path());
    for hour in 1_000..1_000 + HOURS_CAP {
        carried(&store, hour, 16, 1);
    }
    carried(&store, 1_000, 16, 2);
    assert_eq!(store.hours(1_000, 1_001).unwrap()[0].1.cells, [(16, 3)].into());
    carried(&store, 1_000 + HOURS_CAP, 17, 1);
    let kept = store.hours(0, u64::MAX).unwrap();
    assert_eq!((kept.len() as u64, kept[0].0), (HOURS_CAP, 1_001));
    // A clock that was wrong for a while costs an hour, and what it left goes first.
    carried(&store, 500_000, 16, 1);
    carried(&store, 1_001 + HOURS_CAP, 16, 1);
    let kept = store.hours(0, u64::MAX).unwrap();
    assert_eq!((kept.len() as u64, kept[0].0), (HOURS_CAP, 1_002));
    assert_eq!(kept.last().map(|(hour, _)| *hour), Some(1_001 + HOURS_CAP));
}

#[test]
fn a_flood_of_edges_does_not_grow_the_file_without_bound() {
    let folder = tempfile::tempdir().unwrap();
    let Opened { store, .. } = open(folder.path());
    let full: Row = Row { cells: (0..EDGES_CAP as u32).map(|edge| (edge, 1)).collect(), is_cut: false };
    for hour in 0..70 {
        store.write(&[Change::AddHour { hour, row: full.clone() }]).unwrap();
    }
    let rows = store.hours(0, u64::MAX).unwrap();
    assert_eq!((rows.len(), rows[0].0), (64, 6), "a million in all, the oldest hours go");
    let more = Row { cells: [(1 << 20, 1)].into(), is_cut: false };
    store.write(&[Change::AddHour { hour: 69, row: more }]).unwrap();
    let [(_, row)] = &store.hours(69, 70).unwrap()[..] else { panic!("it was there before") };
    assert!(row.is_cut && row.cells.len() == EDGES_CAP, "what finds no room is said");
}

#[test]
fn a_damaged_row_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let Opened { store, .. } = open(folder.path());
    for bytes in [&b""[..], b"\x02", b"\x00short", b"\x01123456789"] {
        let transaction = store.database.begin_write().unwrap();
        transaction.open_table(HOURS).unwrap().insert(7, bytes).unwrap();
        transaction.commit().unwrap();
        assert_eq!(store.hours(0, 10).unwrap(), []);
    }
    carried(&store, 7, 16, 1);
    assert_eq!(store.hours(0, 10).unwrap()[0].1.cells, [(16, 1)].into());
}
