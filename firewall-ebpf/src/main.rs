//! The kernel programs of Edgeward: from a frame on a hook to its verdict.
//!
//! ```text
//! hook ─▶ parse ─▶ who? ─▶ essential? ─▶ flow ─▶ edge ─▶ meter ─▶ stream ─▶ conclude: pass with the mark, drop, answer
//! ```
//!
//! The steps who, flow, related, meter, stream and answer are programs of their own, reached by tail calls, so that the verifier
//! walks each of them once.
//!
//! [`hook`] is the flow from top to bottom; each other module owns one question and the maps that answer it. What cannot
//! be parsed, is over a cap or unknown is a [`Stop`](hook::Stop) with a reason: there is no path to "pass" without a
//! permit.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
// Compare-and-swap has no stable form on this target (`core::sync::atomic` lacks it).
#![allow(internal_features)]

use aya_ebpf::bindings::{TC_ACT_SHOT, xdp_action};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use firewall_common::abi::counter;

use stream::http::Http;
use stream::machine::round;
use stream::modbus::Modbus;
use stream::mqtt::Mqtt;
use stream::tls::Tls;

// The flow.
mod hook;

// Who, and what a link needs.
mod essential;
mod who;

// What is asked for, and whether the model has it.
mod datagram;
mod edge;
mod flow;
mod meter;
mod pass;
mod related;
mod stream;

// What becomes of it.
mod answer;
mod observe;

// The kernel around us.
mod atomic;
mod bytes;
mod checksum;
mod config;
mod scratch;
mod words;

/// Frames that a protected port receives from devices.
#[classifier]
pub fn edgeward_lan_ingress(ctx: TcContext) -> i32 {
    hook::classify(&ctx, counter::HOOK_LAN_INGRESS).unwrap_or(TC_ACT_SHOT)
}

/// Who sends frames from devices, and what a link needs.
#[classifier]
pub fn edgeward_ingress_who(ctx: TcContext) -> i32 {
    hook::who(&ctx, counter::HOOK_LAN_INGRESS).unwrap_or(TC_ACT_SHOT)
}

/// Connections and edges of frames from devices.
#[classifier]
pub fn edgeward_ingress_flow(ctx: TcContext) -> i32 {
    hook::flow(&ctx, counter::HOOK_LAN_INGRESS).unwrap_or(TC_ACT_SHOT)
}

/// What follows from frames from devices, and what they follow from.
#[classifier]
pub fn edgeward_ingress_related(ctx: TcContext) -> i32 {
    hook::related(&ctx, counter::HOOK_LAN_INGRESS).unwrap_or(TC_ACT_SHOT)
}

/// How much the edges of frames from devices carry.
#[classifier]
pub fn edgeward_ingress_meter(ctx: TcContext) -> i32 {
    hook::meter(&ctx, counter::HOOK_LAN_INGRESS).unwrap_or(TC_ACT_SHOT)
}

/// The order of inspected streams from devices.
#[classifier]
pub fn edgeward_ingress_segment(ctx: TcContext) -> i32 {
    hook::segment(&ctx, counter::HOOK_LAN_INGRESS).unwrap_or(TC_ACT_SHOT)
}

/// What is said in MQTT streams from devices.
#[classifier]
pub fn edgeward_ingress_mqtt(ctx: TcContext) -> i32 {
    hook::said(&ctx, counter::HOOK_LAN_INGRESS, round::<Mqtt>).unwrap_or(TC_ACT_SHOT)
}

/// What is said in TLS streams from devices.
#[classifier]
pub fn edgeward_ingress_tls(ctx: TcContext) -> i32 {
    hook::said(&ctx, counter::HOOK_LAN_INGRESS, round::<Tls>).unwrap_or(TC_ACT_SHOT)
}

/// What is said in HTTP streams from devices.
#[classifier]
pub fn edgeward_ingress_http(ctx: TcContext) -> i32 {
    hook::said(&ctx, counter::HOOK_LAN_INGRESS, round::<Http>).unwrap_or(TC_ACT_SHOT)
}

/// What is said in Modbus streams from devices.
#[classifier]
pub fn edgeward_ingress_modbus(ctx: TcContext) -> i32 {
    hook::said(&ctx, counter::HOOK_LAN_INGRESS, round::<Modbus>).unwrap_or(TC_ACT_SHOT)
}

/// What datagrams from devices speak.
#[classifier]
pub fn edgeward_ingress_datagram(ctx: TcContext) -> i32 {
    hook::datagram(&ctx, counter::HOOK_LAN_INGRESS).unwrap_or(TC_ACT_SHOT)
}

/// What is said in CoAP datagrams from devices.
#[classifier]
pub fn edgeward_ingress_coap(ctx: TcContext) -> i32 {
    hook::coap(&ctx, counter::HOOK_LAN_INGRESS).unwrap_or(TC_ACT_SHOT)
}

/// What resolvers answer devices, where one of them is a device itself.
#[classifier]
pub fn edgeward_ingress_names(ctx: TcContext) -> i32 {
    hook::names(&ctx, counter::HOOK_LAN_INGRESS).unwrap_or(TC_ACT_SHOT)
}

/// First frames of something new from devices.
#[classifier]
pub fn edgeward_ingress_show(ctx: TcContext) -> i32 {
    hook::show(&ctx, counter::HOOK_LAN_INGRESS).unwrap_or(TC_ACT_SHOT)
}

/// Answers to frames from devices.
#[classifier]
pub fn edgeward_ingress_answer(ctx: TcContext) -> i32 {
    hook::answer(&ctx, counter::HOOK_LAN_INGRESS).unwrap_or(TC_ACT_SHOT)
}

/// Frames about to be delivered to devices.
#[classifier]
pub fn edgeward_lan_egress(ctx: TcContext) -> i32 {
    hook::classify(&ctx, counter::HOOK_LAN_EGRESS).unwrap_or(TC_ACT_SHOT)
}

/// Who sends frames to devices, and what a link needs.
#[classifier]
pub fn edgeward_egress_who(ctx: TcContext) -> i32 {
    hook::who(&ctx, counter::HOOK_LAN_EGRESS).unwrap_or(TC_ACT_SHOT)
}

/// Connections and edges of frames to devices.
#[classifier]
pub fn edgeward_egress_flow(ctx: TcContext) -> i32 {
    hook::flow(&ctx, counter::HOOK_LAN_EGRESS).unwrap_or(TC_ACT_SHOT)
}

/// What follows from frames to devices, and what they follow from.
#[classifier]
pub fn edgeward_egress_related(ctx: TcContext) -> i32 {
    hook::related(&ctx, counter::HOOK_LAN_EGRESS).unwrap_or(TC_ACT_SHOT)
}

/// How much the edges of frames to devices carry.
#[classifier]
pub fn edgeward_egress_meter(ctx: TcContext) -> i32 {
    hook::meter(&ctx, counter::HOOK_LAN_EGRESS).unwrap_or(TC_ACT_SHOT)
}

/// The order of inspected streams to devices.
#[classifier]
pub fn edgeward_egress_segment(ctx: TcContext) -> i32 {
    hook::segment(&ctx, counter::HOOK_LAN_EGRESS).unwrap_or(TC_ACT_SHOT)
}

/// What is said in MQTT streams to devices.
#[classifier]
pub fn edgeward_egress_mqtt(ctx: TcContext) -> i32 {
    hook::said(&ctx, counter::HOOK_LAN_EGRESS, round::<Mqtt>).unwrap_or(TC_ACT_SHOT)
}

/// What is said in TLS streams to devices.
#[classifier]
pub fn edgeward_egress_tls(ctx: TcContext) -> i32 {
    hook::said(&ctx, counter::HOOK_LAN_EGRESS, round::<Tls>).unwrap_or(TC_ACT_SHOT)
}

/// What is said in HTTP streams to devices.
#[classifier]
pub fn edgeward_egress_http(ctx: TcContext) -> i32 {
    hook::said(&ctx, counter::HOOK_LAN_EGRESS, round::<Http>).unwrap_or(TC_ACT_SHOT)
}

/// What is said in Modbus streams to devices.
#[classifier]
pub fn edgeward_egress_modbus(ctx: TcContext) -> i32 {
    hook::said(&ctx, counter::HOOK_LAN_EGRESS, round::<Modbus>).unwrap_or(TC_ACT_SHOT)
}

/// What datagrams to devices speak.
#[classifier]
pub fn edgeward_egress_datagram(ctx: TcContext) -> i32 {
    hook::datagram(&ctx, counter::HOOK_LAN_EGRESS).unwrap_or(TC_ACT_SHOT)
}

/// What is said in CoAP datagrams to devices.
#[classifier]
pub fn edgeward_egress_coap(ctx: TcContext) -> i32 {
    hook::coap(&ctx, counter::HOOK_LAN_EGRESS).unwrap_or(TC_ACT_SHOT)
}

/// What resolvers answer devices.
#[classifier]
pub fn edgeward_egress_names(ctx: TcContext) -> i32 {
    hook::names(&ctx, counter::HOOK_LAN_EGRESS).unwrap_or(TC_ACT_SHOT)
}

/// First frames of something new to devices.
#[classifier]
pub fn edgeward_egress_show(ctx: TcContext) -> i32 {
    hook::show(&ctx, counter::HOOK_LAN_EGRESS).unwrap_or(TC_ACT_SHOT)
}

/// Answers to frames to devices.
#[classifier]
pub fn edgeward_egress_answer(ctx: TcContext) -> i32 {
    hook::answer(&ctx, counter::HOOK_LAN_EGRESS).unwrap_or(TC_ACT_SHOT)
}

/// Frames that the uplink receives.
#[classifier]
pub fn edgeward_uplink(ctx: TcContext) -> i32 {
    hook::classify(&ctx, counter::HOOK_UPLINK).unwrap_or(TC_ACT_SHOT)
}

/// The gate before the network stack: drops what no later step could allow.
#[xdp]
pub fn edgeward_xdp(ctx: XdpContext) -> u32 {
    hook::gate(&ctx).unwrap_or(xdp_action::XDP_DROP)
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // The verifier proves that this is never reached.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
