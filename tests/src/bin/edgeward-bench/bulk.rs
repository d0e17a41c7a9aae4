//! Services at the end of the lanes, and what much data costs.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

use crate::{
    Effort,
    course::{self, Course, Lane},
    kernel,
    ours::Ours,
    pairs::interleave,
};

/// Accepts and closes.
pub(crate) const ACCEPT: u16 = 7000;
/// Answers the first datagram of a flow and swallows the others.
pub(crate) const DATAGRAMS: u16 = 7001;
/// Reads to the end, then says so.
pub(crate) const OPAQUE: u16 = 7002;
/// Answers each request with as much as its path says.
pub(crate) const HTTP: u16 = 8080;
/// Path of all requests; the number of bytes follows.
pub(crate) const PATH: &str = "/bulk";

const CHUNK: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the services; their threads end with the program.
pub(crate) fn serve(course: &Course) -> Result<()> {
    let listen = |port| {
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        course.server.enter(|| Ok(TcpListener::bind(address)?)).context("a service cannot listen")
    };
    serve_connections(listen(ACCEPT)?, |_| Ok(()));
    serve_connections(listen(OPAQUE)?, |mut stream| {
        let mut chunk = vec![0; CHUNK];
        while stream.read(&mut chunk)? > 0 {}
        stream.write_all(b".")?;
        Ok(())
    });
    serve_connections(listen(HTTP)?, answer);
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, DATAGRAMS));
    let socket = course.server.enter(|| Ok(UdpSocket::bind(address)?))?;
    thread::spawn(move || {
        let _ = course::stay_on_last_cpu();
        let mut datagram = [0; 128];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            if datagram[..length] == *b"?" && socket.send_to(b"!", from).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn serve_connections(listener: TcpListener, service: fn(TcpStream) -> Result<()>) {
    thread::spawn(move || {
        // Where the broker is, as a server would be elsewhere than its client.
        let _ = course::stay_on_last_cpu();
        for stream in listener.incoming().flatten() {
            // A client that went away shows at the client.
            let _ = service(stream);
        }
    });
}

/// Answers one request after the other.
fn answer(stream: TcpStream) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let chunk = vec![b'x'; CHUNK];
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let path = request.split(' ').nth(1).context("a request has a path")?;
        let size = path.rsplit('/').next().context("a path has a last level")?.parse::<usize>()?;
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        writer.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").as_bytes())?;
        let mut left = size;
        while left > 0 {
            let part = left.min(CHUNK);
            writer.write_all(&chunk[..part])?;
            left -= part;
        }
    }
}

/// CPU time per gigabyte, beside the bare lane.
pub(crate) fn compare(
    course: &Course,
    ours: &Ours,
    effort: &Effort,
    missing: &mut Map<String, Value>,
) -> Result<Value> {
    let apart = kernel::counts_interrupts_apart()?;
    let opaque =
        |lane| move || cpu_of(effort.bulk_bytes, apart, || send_opaque(course, lane, effort.bulk_bytes));
    // Each byte of it is looked at, so less of it says as much.
    let (pairs, bytes) = ((effort.bulk_pairs / 4).max(2), effort.bulk_bytes / 16);
    let http = |lane| move || cpu_of(bytes, apart, || fetch(course, lane, bytes));
    let mut result = json!({
        "aa": interleave(effort.bulk_pairs, opaque(Lane::Bare), opaque(Lane::Twin))?.ratio_json(),
        "opaque": interleave(effort.bulk_pairs, opaque(Lane::Bare), opaque(Lane::Ours))?.ratio_json(),
        "http": null,
    });
    // A kernel program that does not know HTTP takes it for another protocol than the edge's.
    let measured = ours.allow_http().and_then(|()| interleave(pairs, http(Lane::Bare), http(Lane::Ours)));
    match measured {
        Ok(pairs) => result["http"] = pairs.ratio_json(),
        Err(error) => {
            missing.insert("http".to_owned(), json!(format!("{error:#}")));
        }
    }
    for kind in ["aa", "opaque", "http"] {
        if let Some(object) = result[kind].as_object_mut() {
            // Here these are seconds of CPU time per gigabyte, not of a clock.
            for (name, unit) in [("added_us", "added_s"), ("bare_us", "bare_s")] {
                let us = object.remove(name).and_then(|us| us.as_f64()).unwrap_or_default();
                object.insert(unit.to_owned(), json!(us / 1e6));
            }
        }
    }
    Ok(result)
}

fn connected(course: &Course, lane: Lane, port: u16) -> Result<TcpStream> {
    let address = lane.server(port).into();
    let stream = course.client.enter(|| Ok(TcpStream::connect_timeout(&address, PATIENCE)?))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn send_opaque(course: &Course, lane: Lane, bytes: usize) -> Result<()> {
    let mut stream = connected(course, lane, OPAQUE)?;
    // The first byte 0 is that of no protocol that is looked into.
    let chunk = vec![0; CHUNK];
    for _ in 0..bytes / CHUNK {
        stream.write_all(&chunk)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_exact(&mut [0]).context("the other end did not read all of it")
}

fn fetch(course: &Course, lane: Lane, bytes: usize) -> Result<()> {
    let mut stream = connected(course, lane, HTTP)?;
    let server = lane.server(HTTP);
    stream.write_all(format!("GET {PATH}/{bytes} HTTP/1.1\r\nHost: {server}\r\n\r\n").as_bytes())?;
    let mut chunk = vec![0; CHUNK];
    let mut got = 0;
    while got < bytes {
        let read = stream.read(&mut chunk)?;
        ensure!(read > 0, "the answer ended after {got} bytes");
        got += read;
    }
    Ok(())
}

/// Seconds of CPU time per gigabyte: of both ends, in whose name a virtual cable does its work, and of the kernel's
/// threads that take over from them.
fn cpu_of(bytes: usize, apart: bool, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let before = cpu_time(apart)?;
    work()?;
    Ok((cpu_time(apart)? - before) / (bytes as f64 / 1e9))
}

fn cpu_time(apart: bool) -> Result<f64> {
    let own = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).context("cannot read the CPU time")?;
    let mut total = own.tv_sec() as f64 + own.tv_nsec() as f64 / 1e9;
    for entry in fs::read_dir("/proc").context("cannot list processes")? {
        let path = entry?.path();
        let is_softirq =
            fs::read_to_string(path.join("comm")).is_ok_and(|name| name.starts_with("ksoftirqd/"));
        if is_softirq {
            let stat = fs::read_to_string(path.join("schedstat")).context("cannot read a thread's time")?;
            let ns: f64 = stat.split(' ').next().context("its first field is the time")?.parse()?;
            total += ns / 1e9;
        }
    }
    if apart { Ok(total + kernel::interrupt_time()?) } else { Ok(total) }
}
