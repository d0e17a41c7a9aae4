use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};

use super::*;

const NOW: i64 = EARLIEST + 40 * DAY;

fn at(unix: i64, synchronised: bool) -> Now {
    Now { unix, synchronised, ..Now::default() }
}

fn is_accepted(certificate: &Certificate, name: &str, unix: i64) -> Result<(), Error> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(certificate.certificate.as_bytes()).map(Result::unwrap).collect();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.issuer.as_bytes()).unwrap()).unwrap();
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()))
            .build()
            .unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(unix.unsigned_abs()));
    verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], time).map(|_| ())
}

#[test]
fn a_browser_accepts_the_names_and_private_addresses_of_the_box() {
    let folder = tempfile::tempdir().unwrap();
    let mut authority = Authority::open(folder.path()).unwrap();
    let addresses =
        ["192.168.1.1", "fd00::1", "203.0.113.9", "2001:db8::1"].map(|text| text.parse().unwrap());
    let certificate = authority.issue(addresses, at(NOW, true)).unwrap();
    for name in ["edgeward.local", "edgeward.home.arpa", "192.168.1.1", "fd00::1"] {
        assert_eq!(is_accepted(&certificate, name, NOW), Ok(()), "{name}");
    }
    for name in ["203.0.113.9", "2001:db8::1", "192.168.1.2", "bank.example"] {
        assert!(is_accepted(&certificate, name, NOW).is_err(), "{name}");
    }
}

#[test]
fn the_authority_is_good_for_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    for name in ["bank.example", "www.edgeward.example", "8.8.8.8"] {
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new([name.to_owned()]).unwrap();
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let stolen = Issuer::new(params(&authority.key), &authority.key);
        let certificate = Certificate {
            certificate: leaf.signed_by(&key, &stolen).unwrap().pem(),
            key: key.serialize_pem(),
            issued_at: 0,
            authority: authority.describe(),
            issuer: authority.stored.certificate.clone(),
        };
        let refused = is_accepted(&certificate, name, NOW);
        let Err(Error::InvalidCertificate(CertificateError::Other(why))) = refused else {
            panic!("{name}: {refused:?}")
        };
        assert!(why.to_string().contains("NameConstraint"), "{name}: {why}");
    }
}

#[test]
fn a_clock_that_is_wrong_at_boot_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let mut authority = Authority::open(folder.path()).unwrap();
    authority.issue([], at(NOW, true)).unwrap();
    let mut again = Authority::open(folder.path()).unwrap();
    // It woke up in 1970: the last certificate is newer, and what is made now holds on a phone whose clock is right.
    let early = again.issue([], at(60, false)).unwrap();
    assert_eq!(is_accepted(&early, NAMES[0], NOW + 30 * DAY), Ok(()));
    // It thinks that it is the future: that is not remembered.
    let late = again.issue([], at(NOW + 300 * DAY, false)).unwrap();
    assert_eq!(is_accepted(&late, NAMES[0], NOW), Ok(()));
    let after = again.issue([], at(NOW + DAY, true)).unwrap();
    assert_eq!(is_accepted(&after, NAMES[0], NOW - 300 * DAY), Ok(()));
    assert!(is_accepted(&after, NAMES[0], NOW + 100 * DAY).is_err(), "it is short-lived");
}

#[test]
fn a_box_that_was_never_told_the_time_is_believed_for_longer_than_a_year() {
    let folder = tempfile::tempdir().unwrap();
    let mut authority = Authority::open(folder.path()).unwrap();
    let first = authority.issue([], at(60, false)).unwrap();
    assert_eq!(is_accepted(&first, NAMES[0], EARLIEST + 450 * DAY), Ok(()));
    const { assert!(BACK + AHEAD_UNSET < 825 * DAY) };
    // As soon as it knows better, its certificates are short-lived again.
    let next = authority.issue([], at(EARLIEST + 450 * DAY, true)).unwrap();
    assert!(is_accepted(&next, NAMES[0], EARLIEST + 541 * DAY).is_err());
}

#[test]
fn the_authority_stays_the_same_and_its_file_is_the_daemons() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let first = Authority::open(folder.path()).unwrap().describe();
    assert_eq!(Authority::open(folder.path()).unwrap().describe(), first);
    assert_eq!((first.words.len(), first.fingerprint.len()), (4, 64));
    assert_eq!(first.name, format!("Edgeward {}", first.words.join(" ")));
    let file = folder.path().join(FILE);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    fs::write(&file, "{").unwrap();
    assert!(matches!(Authority::open(folder.path()), Err(AuthorityError::Damaged { .. })));
}

#[test]
fn words_are_told_apart() {
    let mut words = words::WORDS.to_vec();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), 256);
}

#[test]
fn addresses_of_the_internet_are_not_private() {
    for private in
        ["10.9.8.7", "172.31.0.1", "192.168.0.1", "127.0.0.1", "fd12::1", "fe80::1", "::ffff:10.0.0.1"]
    {
        assert!(is_private(private.parse().unwrap()), "{private}");
    }
    for public in ["8.8.8.8", "172.32.0.1", "192.169.0.1", "100.64.0.1", "2001:db8::1", "0.0.0.0", "::"] {
        assert!(!is_private(public.parse().unwrap()), "{public}");
    }
}

/// The page over TLS, with a browser that knows the authority.
mod page {
    use dashboard::http::{Listening, Options, Tls, serve};
    use rustls::version::TLS13;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        sync::oneshot,
    };
    use tokio_rustls::TlsConnector;

    use super::*;

    fn knows(certificate: &Certificate) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate.issuer.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }

    async fn get(connector: &TlsConnector, address: std::net::SocketAddr, head: &str) -> String {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::IpAddress(address.ip().into());
        let mut stream = connector.connect(name, stream).await.unwrap();
        stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_page_is_served_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut authority = Authority::open(folder.path()).unwrap();
        // The verifier of the test reads the clock.
        let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let now = at(unix.cast_signed(), true);
        let certificate = authority.issue(["127.0.0.1".parse().unwrap()], now).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = Arc::new(Tls::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let options = Options {
            runtime_dir: folder.path().to_owned(),
            hosts: NAMES.map(str::to_owned).to_vec(),
            ..Options::default()
        };
        let listening = vec![Listening { listener, tls: Some(Arc::clone(&tls)) }];
        let server = tokio::spawn(serve(listening, options, async move {
            let _ = stopped.await;
        }));

        // Before there is a certificate, nobody gets in.
        let connector = knows(&certificate);
        let early = TcpStream::connect(address).await.unwrap();
        assert!(connector.connect(ServerName::IpAddress(address.ip().into()), early).await.is_err());

        tls.replace(&certificate).unwrap();
        let here = format!("host: {address}\r\n");
        let page = get(&connector, address, &format!("GET / HTTP/1.1\r\n{here}")).await;
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("<!doctype html>"), "{page:.300}");
        let named = get(&connector, address, "GET / HTTP/1.1\r\nhost: edgeward.home.arpa:8443\r\n").await;
        assert!(named.starts_with("HTTP/1.1 200"), "{named:.100}");
        let known = get(&connector, address, &format!("GET /api/v1/authority HTTP/1.1\r\n{here}")).await;
        assert!(known.contains(&certificate.authority.fingerprint), "{known}");
        let issuer = get(&connector, address, &format!("GET /ca.crt HTTP/1.1\r\n{here}")).await;
        assert!(issuer.ends_with(&certificate.issuer), "{issuer}");

        // Another name may point here, and a page in clear is another origin.
        let rebound =
            get(&connector, address, "GET /api/v1/authority HTTP/1.1\r\nhost: evil.example\r\n").await;
        assert!(rebound.starts_with("HTTP/1.1 421"), "{rebound:.100}");
        for (origin, status) in [(format!("https://{address}"), 200), (format!("http://{address}"), 403)] {
            let head = format!("GET /api/v1/authority HTTP/1.1\r\n{here}origin: {origin}\r\n");
            let answer = get(&connector, address, &head).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{origin}: {answer:.100}");
        }

        // Who types the address without https is sent there.
        let mut clear = TcpStream::connect(address).await.unwrap();
        clear.write_all(format!("GET / HTTP/1.1\r\n{here}\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // The request was not read, so the connection may end with a reset after the answer.
        let _ = clear.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains(&format!("location: https://{address}/")), "{answer}");

        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
    }
}
