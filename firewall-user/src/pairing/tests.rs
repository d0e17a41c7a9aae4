use super::*;

const RANDOM: [u8; CODE_BYTES] = [7; CODE_BYTES];

fn at(seconds: u64) -> Now {
    Now { boot_ns: seconds * 1_000_000_000, unix: 1_000 + i64::try_from(seconds).unwrap(), ..Now::default() }
}

fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
    result.unwrap_err().code
}

#[test]
fn a_code_becomes_one_session_that_survives_a_restart() {
    let mut pairing = Pairing::default();
    let code = pairing.make_code(RANDOM, 60, Role::Owner, at(0));
    assert_eq!((code.code.len(), code.expires_at), (32, 1_060));
    let (session, change) = pairing.redeem(&code.code, "phone", None, [9; 32], at(1)).unwrap();
    assert_eq!(refused(pairing.redeem(&code.code, "other", None, [1; 32], at(1))), "gone");
    assert_eq!(refused(pairing.redeem(&code.typed, "other", None, [1; 32], at(1))), "gone");
    let Change::PutSession { key, value } = change else { panic!("{change:?}") };
    assert!(!value.windows(8).any(|part| session.token.as_bytes().windows(8).any(|secret| secret == part)));

    let mut restored = Pairing::restore([(key.clone(), value)]);
    assert_eq!(restored.check(&session.token, false, at(9)).unwrap().name, "phone");
    assert_eq!(restored.end(&session.token).unwrap().changes, [Change::RemoveSession { key }]);
    assert_eq!(refused(restored.check(&session.token, false, at(9))), "unauthenticated");
    assert_eq!(restored.end(&session.token), None);
}

#[test]
fn a_session_of_the_first_version_is_an_owner_still() {
    let stored = br#"{"name":"phone","role":"owner","since":5}"#.to_vec();
    let restored = Pairing::restore([(hash("secret").to_vec(), stored)]);
    assert_eq!(restored.check("secret", false, at(0)).unwrap().role, Role::Owner);
}

#[test]
fn a_code_can_be_typed_in_any_way() {
    for way in ["ABCD-EFGH", "abcdefgh", " abcd efgh ", "Abcd-EFGH"] {
        assert_eq!(as_typed(way).as_deref(), Some("ABCD-EFGH"), "{way}");
    }
    for other in ["ABCD-EFG", "ABCD-EFG0", "ABCD-EFGHJ", "", "ÄBCD-EFG"] {
        assert_eq!(as_typed(other), None, "{other}");
    }
    let mut pairing = Pairing::default();
    let code = pairing.make_code(RANDOM, 60, Role::Viewer, at(0));
    let typed = code.typed.to_lowercase().replace('-', " ");
    assert_eq!(pairing.redeem(&typed, "phone", None, [9; 32], at(1)).unwrap().0.role, Role::Viewer);
}

#[test]
fn a_code_expires() {
    let mut pairing = Pairing::default();
    let code = pairing.make_code(RANDOM, 60, Role::Owner, at(0));
    assert_eq!(refused(pairing.redeem(&code.code, "phone", None, [9; 32], at(60))), "gone");
}

#[test]
fn a_code_that_somebody_has_thought_of_is_like_any_other() {
    let mut pairing = Pairing::default();
    pairing.take_code("sesame-open-7", 60, Role::Owner, at(0));
    assert!(pairing.is_open("sesame-open-7", at(59)) && !pairing.is_open("sesame-open-7", at(60)));
    assert_eq!(refused(pairing.redeem("sesame-open-8", "phone", None, [9; 32], at(1))), "forbidden");
    assert!(pairing.redeem("sesame-open-7", "phone", None, [9; 32], at(1)).is_ok());
    assert_eq!(refused(pairing.redeem("sesame-open-7", "phone", None, [8; 32], at(1))), "gone");
    // It may look like one of ours.
    pairing.take_code("abcd-efgh", 60, Role::Owner, at(2));
    assert!(pairing.redeem("ABCDEFGH", "phone", None, [7; 32], at(3)).is_ok());
}

#[test]
fn five_wrong_tries_burn_the_code() {
    let mut pairing = Pairing::default();
    let code = pairing.make_code(RANDOM, 60, Role::Owner, at(0));
    for _ in 0..4 {
        assert_eq!(refused(pairing.redeem("guess", "phone", None, [9; 32], at(1))), "forbidden");
    }
    assert_eq!(refused(pairing.redeem("guess", "phone", None, [9; 32], at(1))), "too_many");
    for code in [&code.code, &code.typed] {
        assert_eq!(refused(pairing.redeem(code, "phone", None, [9; 32], at(1))), "too_many");
    }
    let next = pairing.make_code([8; CODE_BYTES], 60, Role::Owner, at(2));
    assert!(pairing.redeem(&next.code, "phone", None, [9; 32], at(3)).is_ok());
}

#[test]
fn who_helps_from_outside_is_logged_out_after_some_days() {
    let mut pairing = Pairing::default();
    let code = pairing.make_code(RANDOM, 60, Role::Pro, at(0));
    let (session, _) = pairing.redeem(&code.code, "laptop", None, [9; 32], at(0)).unwrap();
    let last = at(PRO_LIFETIME.unsigned_abs() - 1);
    assert_eq!(pairing.check(&session.token, false, last).unwrap().role, Role::Pro);
    assert_eq!(pairing.clients(last).len(), 1);
    let after = at(PRO_LIFETIME.unsigned_abs());
    assert_eq!(refused(pairing.check(&session.token, false, after)), "unauthenticated");
    assert!(pairing.clients(after).is_empty());
}

#[test]
fn a_program_is_let_in_for_a_while() {
    let mut pairing = Pairing::default();
    let (short, _) = pairing.make_token_for("script", Role::Viewer, Some(60), [1; 32], at(0)).unwrap();
    let (pro, _) = pairing.make_token_for("tool", Role::Pro, Some(u32::MAX), [2; 32], at(0)).unwrap();
    assert!(pairing.check(&short.token, false, at(59)).is_ok());
    assert_eq!(refused(pairing.check(&short.token, false, at(60))), "unauthenticated");
    assert!(pairing.check(&pro.token, false, at(60)).is_ok());
    assert_eq!(refused(pairing.check(&pro.token, false, at(PRO_LIFETIME.unsigned_abs()))), "unauthenticated");
}

#[test]
fn a_lost_phone_is_logged_out_by_its_id() {
    let mut pairing = Pairing::default();
    let (lost, _) = pairing.make_token("lost", Role::Owner, [1; 32], at(0)).unwrap();
    let (kept, _) = pairing.make_token("kept", Role::Owner, [2; 32], at(1)).unwrap();
    let clients = pairing.clients(at(2));
    assert_eq!(clients.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["lost", "kept"]);
    assert!(!clients.iter().any(|one| lost.token.contains(&one.id)), "the id says nothing of the token");
    let ended = pairing.end_client(&clients[0].id).unwrap();
    let act = Act { by: Some("Anna".to_owned()), at: 1_003 };
    let revoked = pairing.note_end(&ended, "Anna", at(3));
    assert_eq!(revoked, Revoked { clients: vec![clients[0].id.clone()], act: Some(act.clone()) });
    let told = pairing.check(&lost.token, false, at(4)).unwrap_err();
    assert_eq!((told.code.as_str(), told.act), ("unauthenticated", Some(act)));
    assert_eq!(pairing.check("guessed", false, at(4)).unwrap_err().act, None);
    assert!(pairing.check(&kept.token, false, at(2)).is_ok());
    assert_eq!(refused(pairing.end_client(&clients[0].id)), "not_found");
}

#[test]
fn nobody_is_called_like_somebody_else() {
    let mut pairing = Pairing::default();
    let mut name =
        |asked: &str, seed: u8| pairing.make_token(asked, Role::Member, [seed; 32], at(0)).unwrap().0.name;
    let long = "x".repeat(NAME_LIMIT);
    assert_eq!(name("Änna", 1), "Änna");
    assert_eq!(name("änna", 2), "änna 2");
    assert_eq!(name("Änna 2", 3), "Änna 2 2");
    assert_eq!(name(&long, 4), long);
    assert_eq!(name(&long, 5), format!("{} 2", "x".repeat(NAME_LIMIT - 2)));
    assert_eq!(
        ["root", "home assistant", "Edgeward"].map(|asked| name(asked, asked.len() as u8 + 10)),
        ["root 2", "home assistant 2", "Edgeward 2"]
    );
}

#[test]
fn a_visit_is_written_down_once_a_day() {
    let mut pairing = Pairing::default();
    let (session, _) = pairing.make_token("phone", Role::Owner, [1; 32], at(0)).unwrap();
    assert_eq!(pairing.note_visit(&session.token, None, at(60)), None);
    assert!(pairing.note_visit(&session.token, None, at(86_400)).is_some());
    assert_eq!(pairing.note_visit(&session.token, None, at(86_460)), None);
    assert_eq!(pairing.clients(at(86_460))[0].last_seen, 1_000 + 86_400);
}

#[test]
fn a_session_is_remembered_where_it_was_used() {
    let mut pairing = Pairing::default();
    let code = pairing.make_code(RANDOM, 60, Role::Owner, at(0));
    assert_eq!(pairing.open_for(at(59)), Some(1));
    assert_eq!(pairing.open_for(at(60)), None);
    let (session, _) = pairing.redeem(&code.code, "phone", Some(PrincipalId(16)), [9; 32], at(1)).unwrap();
    assert_eq!(pairing.open_for(at(1)), None, "a used code opens nothing");
    for device in 17..21 {
        assert!(pairing.note_visit(&session.token, Some(PrincipalId(device)), at(2)).is_some());
        assert_eq!(pairing.note_visit(&session.token, Some(PrincipalId(device)), at(2)), None);
    }
    assert!(!pairing.was_at(&session.token, PrincipalId(16)), "the oldest gave way");
    assert!(pairing.is_anyone_at(PrincipalId(20)));
    let ended = pairing.end(&session.token).unwrap();
    assert_eq!(ended.places, [17, 18, 19, 20].map(PrincipalId));
    assert!(!pairing.is_anyone_at(PrincipalId(20)));
}

#[test]
fn there_is_an_end_to_who_is_let_in() {
    let mut pairing = Pairing::default();
    for index in 0..SESSIONS {
        pairing.make_token("x", Role::Viewer, [index as u8; 32], at(0)).unwrap();
    }
    assert_eq!(refused(pairing.make_token("x", Role::Viewer, [255; 32], at(0))), "too_many");
    let code = pairing.make_code(RANDOM, 60, Role::Owner, at(0));
    assert_eq!(refused(pairing.redeem(&code.code, "x", None, [254; 32], at(0))), "too_many");
}
