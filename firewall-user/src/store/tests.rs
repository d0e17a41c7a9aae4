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
    assert_eq!(store.ledger().unwrap(), [b"first".to_vec()]);
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
