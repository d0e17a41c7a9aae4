//! A client on a small TCP stack, as microcontrollers have: smoltcp on the device's own cable.

use std::{
    net::Ipv4Addr,
    os::fd::{AsRawFd, RawFd},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    phy::{self, Checksum, DeviceCapabilities, FaultInjector, Medium, RawSocket},
    socket::tcp::{Socket, SocketBuffer},
    time::Instant as Moment,
    wire::{EthernetAddress, IpCidr},
};

use crate::{
    raw::{free_port, keep_from_kernel},
    service,
    site::{Device, Site},
};

/// What a small device has to spare.
const BUFFER: usize = 16 << 10;

/// Opens a connection from a device to the broker, sends all bytes and waits until the other side has them all.
///
/// `hello` goes first, and its answer of `answer` bytes is awaited. Of a hundred frames `loss` get lost at the device.
pub fn send(
    site: &Site,
    device: Device,
    (hello, answer): (&[u8], usize),
    bytes: &[u8],
    loss: u8,
    within: Duration,
) -> Result<()> {
    let namespace = site.namespace(device);
    keep_from_kernel(&namespace)?;
    let (address, gateway, hub) = (site.address(device), site.gateway(device), site.address(Device::Hub));
    let mac = device.mac();
    namespace.enter(move || {
        let mut client = Client::open(&mac, address, gateway, hub, loss, Instant::now() + within)?;
        client.write(hello).context("the first words")?;
        client.read(answer)?;
        client.write(bytes)
    })
}

/// The device's end of its cable. What comes over a virtual cable has a checksum that nobody has completed.
struct Cable(RawSocket);

impl phy::Device for Cable {
    type RxToken<'a> = <RawSocket as phy::Device>::RxToken<'a>;
    type TxToken<'a> = <RawSocket as phy::Device>::TxToken<'a>;

    fn receive(&mut self, now: Moment) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        self.0.receive(now)
    }

    fn transmit(&mut self, now: Moment) -> Option<Self::TxToken<'_>> {
        self.0.transmit(now)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = self.0.capabilities();
        capabilities.checksum.tcp = Checksum::Tx;
        capabilities
    }
}

struct Client {
    device: FaultInjector<Cable>,
    socket: RawFd,
    interface: Interface,
    sockets: SocketSet<'static>,
    tcp: SocketHandle,
    deadline: Instant,
}

impl Client {
    fn open(
        mac: &str,
        address: Ipv4Addr,
        gateway: Ipv4Addr,
        hub: Ipv4Addr,
        loss: u8,
        deadline: Instant,
    ) -> Result<Self> {
        let device = RawSocket::new("eth0", Medium::Ethernet).context("cannot open the cable")?;
        let socket = device.as_raw_fd();
        let port = free_port();
        let mut device = FaultInjector::new(Cable(device), u32::from(port));
        device.set_drop_chance(loss);
        let mac: EthernetAddress =
            mac.parse().map_err(|()| anyhow::anyhow!("not a hardware address: {mac}"))?;
        let mut config = Config::new(mac.into());
        config.random_seed = u64::from(port);
        let mut interface = Interface::new(config, &mut device, Moment::now());
        interface.update_ip_addrs(|addresses| {
            // There is room for more than one.
            let _ = addresses.push(IpCidr::new(address.into(), 24));
        });
        interface.routes_mut().add_default_ipv4_route(gateway).context("there is no room for a route")?;
        let mut sockets = SocketSet::new(Vec::new());
        let buffer = || SocketBuffer::new(vec![0; BUFFER]);
        let tcp = sockets.add(Socket::new(buffer(), buffer()));
        sockets
            .get_mut::<Socket>(tcp)
            .connect(interface.context(), (hub, service::BROKER_PORT), port)
            .map_err(|error| anyhow::anyhow!("cannot connect: {error}"))?;
        let mut client = Self { device, socket, interface, sockets, tcp, deadline };
        client.poll_until("the handshake", |socket| socket.may_send())?;
        Ok(client)
    }

    /// Hands all bytes to the stack and waits until they are acknowledged.
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let mut taken = 0;
            self.poll_until("room for more bytes", |socket| {
                taken = socket.send_slice(bytes).unwrap_or(0);
                taken > 0
            })
            .with_context(|| format!("{} bytes are left", bytes.len()))?;
            bytes = &bytes[taken..];
        }
        self.poll_until("the last acknowledgement", |socket| socket.send_queue() == 0)
    }

    fn read(&mut self, count: usize) -> Result<()> {
        self.poll_until("an answer", |socket| socket.recv_queue() >= count)?;
        self.socket().recv(|bytes| (count, bytes.len())).context("the answer was there")?;
        Ok(())
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut::<Socket>(self.tcp)
    }

    /// Lets the stack work until a condition holds.
    fn poll_until(&mut self, what: &str, mut holds: impl FnMut(&mut Socket<'static>) -> bool) -> Result<()> {
        loop {
            self.interface.poll(Moment::now(), &mut self.device, &mut self.sockets);
            if holds(self.socket()) {
                return Ok(());
            }
            ensure!(self.socket().is_active(), "the connection has ended before {what}");
            if Instant::now() > self.deadline {
                bail!("waited in vain for {what}");
            }
            let pause = self.interface.poll_delay(Moment::now(), &self.sockets);
            let pause = pause.unwrap_or_default().min(smoltcp::time::Duration::from_millis(10));
            phy::wait(self.socket, Some(pause)).context("cannot wait for frames")?;
        }
    }
}
