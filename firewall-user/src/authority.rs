//! Certificates for the page: an authority of this box's own, made on it and good for nothing else.
//!
//! Its name constraints are the names of the box and private addresses, so a phone that trusts it recognises this box and
//! cannot be fooled with it anywhere else. The page's process gets short-lived certificates; the authority's key stays
//! with the daemon. The clock of a box without a battery is wrong until something sets it, so a certificate is valid for
//! long before it was made, and the time of the latest one is kept: time does not run backwards over a restart.

mod words;

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use dashboard::{rpc::Certificate, view};
use graph::Now;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData as _, SanType, date_time_ymd,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::pairing::hex;

/// Names of the page; phones find the first by mDNS ([`crate::mdns`]), the second where the box is the name server
/// (RFC 8375).
pub const NAMES: [&str; 2] = ["edgeward.local", "edgeward.home.arpa"];
/// Name of the file in the state directory.
const FILE: &str = "authority.json";
const DAY: i64 = 86_400;
/// How long a certificate is valid before it was made, and after; where nobody has set the clock, it may be much later than
/// the box knows. Together they stay below the 825 days that phones accept of an authority that a person has installed.
const BACK: i64 = 365 * DAY;
const AHEAD: i64 = 90 * DAY;
const AHEAD_UNSET: i64 = 455 * DAY;
/// When an authority ends; the second is the same in seconds since 1970.
const EXPIRES: ((i32, u8, u8), i64) = ((2049, 12, 31), 2_524_521_600);
/// No box makes certificates earlier than this was written, whatever its clock says: 2026-11-01.
const EARLIEST: i64 = 1_793_491_200;
/// Where the page can be reached: networks that are not routed over the Internet.
const PRIVATE: [(IpAddr, u8); 7] = [
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

/// Whether a certificate of the box can be for this address.
pub fn is_private(address: IpAddr) -> bool {
    PRIVATE.iter().any(|&(network, prefix)| match (network, address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (network.to_bits() ^ address.to_bits()).leading_zeros() >= u32::from(prefix)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            (network.to_bits() ^ address.to_bits()).leading_zeros() >= u32::from(prefix)
        }
        _ => false,
    })
}

/// The authority of this box.
pub struct Authority {
    path: PathBuf,
    key: KeyPair,
    stored: Stored,
}

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// PEM.
    certificate: String,
    /// PEM.
    key: String,
    /// SHA-256 of the certificate.
    fingerprint: String,
    /// When the latest certificate was made by a clock that was right, to the day; seconds since 1970.
    latest: i64,
}

/// What can go wrong with the authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("cannot use {} for the page's certificates", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is damaged; remove it, and every phone has to learn the new certificate", path.display())]
    Damaged { path: PathBuf },
    #[error("a certificate could not be made")]
    Make(#[from] rcgen::Error),
}

impl Authority {
    /// Takes up the authority in this folder, or makes one.
    pub fn open(folder: &Path) -> Result<Self, AuthorityError> {
        let path = folder.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::make(path),
            Err(source) => return Err(AuthorityError::File { path, source }),
        };
        let damaged = || AuthorityError::Damaged { path: path.clone() };
        let stored: Stored = serde_json::from_slice(&text).map_err(|_| damaged())?;
        let key = KeyPair::from_pem(&stored.key).map_err(|_| damaged())?;
        Ok(Self { path, key, stored })
    }

    fn make(path: PathBuf) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate()?;
        let certificate = params(&key).self_signed(&key)?;
        let stored = Stored {
            fingerprint: hex(&Sha256::digest(certificate.der())),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            latest: EARLIEST,
        };
        let authority = Self { path, key, stored };
        authority.save()?;
        Ok(authority)
    }

    /// Makes a certificate for the names of the box and those of these addresses that are private.
    pub fn issue(
        &mut self,
        addresses: impl IntoIterator<Item = IpAddr>,
        now: Now,
    ) -> Result<Certificate, AuthorityError> {
        // A clock that is wrong may be so in both directions; only one that was set is believed and remembered.
        let made = if now.synchronised { now.unix } else { now.unix.max(self.stored.latest) }.max(EARLIEST);
        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(NAMES.map(str::to_owned))?;
        let private = addresses.into_iter().filter(|address| is_private(*address));
        leaf.subject_alt_names.extend(private.map(|address| SanType::IpAddress(address.to_canonical())));
        leaf.distinguished_name.push(DnType::CommonName, NAMES[0]);
        let date = |unix: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(unix.unsigned_abs());
        leaf.not_before = date(made - BACK);
        leaf.not_after = date(made + if now.synchronised { AHEAD } else { AHEAD_UNSET });
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let certificate = leaf.signed_by(&key, &Issuer::new(params(&self.key), &self.key))?.pem();
        if now.synchronised && made - self.stored.latest > DAY {
            self.stored.latest = made;
            self.save()?;
        }
        Ok(Certificate {
            certificate: certificate + &self.stored.certificate,
            key: key.serialize_pem(),
            issued_at: now.unix,
            authority: self.describe(),
            issuer: self.stored.certificate.clone(),
        })
    }

    /// What a person can compare.
    pub fn describe(&self) -> view::Authority {
        view::Authority {
            name: name(&self.key),
            words: words_of(&self.key).map(str::to_owned).to_vec(),
            fingerprint: self.stored.fingerprint.clone(),
            expires_at: Some(EXPIRES.1),
        }
    }

    /// Writes the file in one step, readable by the daemon only.
    fn save(&self) -> Result<(), AuthorityError> {
        let failed = |source| AuthorityError::File { path: self.path.clone(), source };
        let beside = self.path.with_extension("new");
        let text = serde_json::to_vec(&self.stored).expect("it is plain data");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .map_err(failed)?;
        io::Write::write_all(&mut file, &text).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&beside, &self.path).map_err(failed)
    }
}

/// The authority itself; always the same for a key.
fn params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name(key));
    params.not_before = date_time_ymd(2020, 1, 1);
    let (year, month, day) = EXPIRES.0;
    params.not_after = date_time_ymd(year, month, day);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let names = NAMES.map(|name| GeneralSubtree::DnsName(name.to_owned()));
    let networks = PRIVATE
        .map(|(network, prefix)| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(network, prefix)));
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: names.into_iter().chain(networks).collect(),
        excluded_subtrees: Vec::new(),
    });
    params
}

/// The words stand in the name, so that a phone shows them where it warns and where it asks whether to trust.
fn name(key: &KeyPair) -> String {
    format!("Edgeward {}", words_of(key).join(" "))
}

fn words_of(key: &KeyPair) -> [&'static str; 4] {
    let hash = Sha256::digest(key.subject_public_key_info());
    [0, 1, 2, 3].map(|index| words::WORDS[usize::from(hash[index])])
}

#[cfg(test)]
mod tests;
