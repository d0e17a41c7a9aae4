//! Protocols without which a link does not work: each a named rule with a byte budget.
