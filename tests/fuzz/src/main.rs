//! One target under the fuzzer; `EDGEWARD_FUZZ_TARGET` names it.

#![no_main]

use std::sync::OnceLock;

use fuzz::Target;

static TARGET: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("EDGEWARD_FUZZ_TARGET").expect("EDGEWARD_FUZZ_TARGET names a target");
        let target = fuzz::find(&name).expect("there is a target of this name");
        assert!(TARGET.set(target).is_ok(), "the fuzzer starts once");
    },
    |data: &[u8]| {
        let target = TARGET.get().expect("the target was chosen at the start");
        (target.check)(data);
    }
);
