//! How types of `firewall-common`, which knows no serde, are written in records.

/// Makes a module for `#[serde(with = "…")]` out of two conversions.
macro_rules! written_as {
    ($(#[$doc:meta])* $module:ident: $type:ty as $raw:ty, $to:expr, $from:expr) => {
        $(#[$doc])*
        pub(crate) mod $module {
            use serde::{Deserialize, Deserializer, Serialize, Serializer};

            #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
            pub(crate) fn serialize<S: Serializer>(value: &$type, serializer: S) -> Result<S::Ok, S::Error> {
                let raw: $raw = $to(*value);
                raw.serialize(serializer)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                let raw = <$raw>::deserialize(deserializer)?;
                $from(raw).ok_or_else(|| serde::de::Error::custom(concat!("not a ", stringify!($module))))
            }
        }
    };
}

written_as!(
    /// A principal as its number.
    principal: firewall_common::abi::PrincipalId as u32,
    |id: firewall_common::abi::PrincipalId| id.0,
    |raw| Some(firewall_common::abi::PrincipalId(raw))
);
written_as!(
    /// A mode as its name.
    mode: firewall_common::precedence::Mode as String,
    |mode: firewall_common::precedence::Mode| mode.as_str().to_owned(),
    |raw: String| crate::principal::mode_from_name(&raw)
);
written_as!(
    /// A protocol as its name.
    protocol: firewall_common::abi::Protocol as String,
    |protocol: firewall_common::abi::Protocol| protocol.as_str().to_owned(),
    |raw: String| firewall_common::abi::Protocol::from_name(&raw)
);
written_as!(
    /// An action as its name.
    action: firewall_common::abi::Action as String,
    |action: firewall_common::abi::Action| action.as_str().to_owned(),
    |raw: String| firewall_common::abi::Action::from_name(&raw)
);
written_as!(
    /// A reason as its name; `None` as an empty text.
    reason: Option<firewall_common::reason::Reason> as String,
    |reason: Option<firewall_common::reason::Reason>| reason.map_or("", firewall_common::reason::Reason::as_str).to_owned(),
    |raw: String| if raw.is_empty() { Some(None) } else { firewall_common::reason::Reason::from_name(&raw).map(Some) }
);
written_as!(
    /// A verdict as its number; `None` as 0.
    verdict: Option<firewall_common::reason::Verdict> as u8,
    |verdict: Option<firewall_common::reason::Verdict>| verdict.map_or(0, |verdict| verdict as u8),
    |raw| if raw == 0 { Some(None) } else { firewall_common::reason::Verdict::from_code(raw).map(Some) }
);

/// Addresses as text.
pub(crate) mod addresses {
    use firewall_common::abi::Addr;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::principal::{parse_address, show_address};

    pub(crate) fn serialize<S: Serializer>(value: &[Addr], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(value.iter().map(|addr| show_address(*addr)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Addr>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts
            .iter()
            .map(|text| parse_address(text).ok_or_else(|| serde::de::Error::custom("not an address")))
            .collect()
    }
}
