//! Addresses and networks. IPv4 addresses mapped into IPv6 and zones are refused.
//!
//! Upstream: k8s.io/apiserver/pkg/cel/library/ip.go, cidr.go.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use api::go_text::quote;

use super::{Outcome, Row, no_overload};
use crate::eval::Failure;
use crate::value::Value;

pub(super) const ROWS: &[Row] = &[
    ("string_to_ip", "ip(string) -> net.IP", ip),
    ("ip_family", "(net.IP).family() -> int", |args| of_ip(args, |ip| Value::Int(if ip.is_ipv4() { 4 } else { 6 }))),
    ("ip_is_canonical", "ip.isCanonical(string) -> bool", is_canonical),
    ("ip_is_unspecified", "(net.IP).isUnspecified() -> bool", |args| {
        of_ip(args, |ip| Value::Bool(ip.is_unspecified()))
    }),
    ("ip_is_loopback", "(net.IP).isLoopback() -> bool", |args| of_ip(args, |ip| Value::Bool(ip.is_loopback()))),
    ("ip_is_link_local_multicast", "(net.IP).isLinkLocalMulticast() -> bool", |args| {
        of_ip(args, |ip| Value::Bool(is_link_local_multicast(ip)))
    }),
    ("ip_is_link_local_unicast", "(net.IP).isLinkLocalUnicast() -> bool", |args| {
        of_ip(args, |ip| Value::Bool(is_link_local_unicast(ip)))
    }),
    ("ip_is_global_unicast", "(net.IP).isGlobalUnicast() -> bool", |args| {
        of_ip(args, |ip| Value::Bool(is_global_unicast(ip)))
    }),
    ("is_ip", "isIP(string) -> bool", is_ip),
    ("ip_to_string", "string(net.IP) -> string", text),
    ("string_to_cidr", "cidr(string) -> net.CIDR", cidr),
    ("cidr_contains_ip_string", "(net.CIDR).containsIP(string) -> bool", contains_ip),
    ("cidr_contains_ip_ip", "(net.CIDR).containsIP(net.IP) -> bool", contains_ip),
    ("cidr_contains_cidr_string", "(net.CIDR).containsCIDR(string) -> bool", contains_cidr),
    ("cidr_contains_cidr", "(net.CIDR).containsCIDR(net.CIDR) -> bool", contains_cidr),
    ("cidr_ip", "(net.CIDR).ip() -> net.IP", |args| of_cidr(args, |cidr| Value::Ip(cidr.address))),
    ("cidr_prefix_length", "(net.CIDR).prefixLength() -> int", |args| {
        of_cidr(args, |cidr| Value::Int(cidr.bits.into()))
    }),
    ("cidr_masked", "(net.CIDR).masked() -> net.CIDR", |args| of_cidr(args, |cidr| Value::Cidr(cidr.masked()))),
    ("is_cidr", "isCIDR(string) -> bool", is_cidr),
    ("cidr_to_string", "string(net.CIDR) -> string", text),
];

/// An address and how many of its bits name the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Cidr {
    /// Bytes of the prefix.
    pub(crate) fn size(&self) -> u64 {
        u64::from(self.bits).div_ceil(8)
    }

    fn masked(self) -> Cidr {
        Cidr { address: mask(self.address, self.bits), bits: self.bits }
    }

    fn contains(self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.address.is_ipv4() && mask(ip, self.bits) == mask(self.address, self.bits)
    }
}

fn mask(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & mask))
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask))
        }
    }
}

fn parse_ip(text: &str) -> Result<IpAddr, String> {
    if text.contains('%') && text.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()) {
        return Err(format!("IP address {} with zone value is not allowed", quote(text)));
    }
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_some() => {
            Err(format!("IPv4-mapped IPv6 address {} is not allowed", quote(text)))
        }
        Ok(ip) => Ok(ip),
        Err(_) => {
            let quoted = quote(text);
            let why = format!("ParseAddr({quoted}): {}", wrong_address(text));
            Err(format!("IP Address {quoted} parse error during conversion from string: {why}"))
        }
    }
}

/// What is wrong with an address, as Go says it of the common cases. Upstream: netip.ParseAddr.
fn wrong_address(text: &str) -> String {
    if text.contains(':') {
        return "each colon-separated field must have at least one digit".to_owned();
    }
    if !text.contains('.') {
        return "unable to parse IP".to_owned();
    }
    let fields: Vec<&str> = text.split('.').collect();
    let number = |field: &&str| field.parse::<u32>().ok().filter(|_| field.bytes().all(|byte| byte.is_ascii_digit()));
    if fields.iter().any(|field| field.is_empty()) {
        return format!("IPv4 field must have at least one digit (at {})", quote(""));
    }
    match fields.iter().map(number).collect::<Option<Vec<u32>>>() {
        None => "unexpected character".to_owned(),
        Some(_) if fields.len() > 4 => "IPv4 address too long".to_owned(),
        Some(_) if fields.len() < 4 => "IPv4 address too short".to_owned(),
        Some(numbers) if numbers.iter().any(|number| *number > 255) => "IPv4 field has value >255".to_owned(),
        Some(_) => "IPv4 field has octet with leading zero".to_owned(),
    }
}

fn parse_cidr(text: &str) -> Result<Cidr, String> {
    const CONTEXT: &str = "network address parse error during conversion from string";
    let wrong = |why: String| Err(format!("{CONTEXT}: netip.ParsePrefix({}): {why}", quote(text)));
    let Some((address, bits)) = text.rsplit_once('/') else { return wrong("no '/'".to_owned()) };
    let Ok(ip) = address.parse::<IpAddr>() else {
        return wrong(format!("ParseAddr({}): {}", quote(address), wrong_address(address)));
    };
    let digits = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (bits.len() > 1 && bits.starts_with('0')) {
        return wrong(format!("bad bits after slash: {}", quote(bits)));
    }
    let most = if ip.is_ipv4() { 32 } else { 128 };
    match bits.parse::<u8>() {
        Ok(bits) if bits <= most => match ip {
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
                Err(format!("IPv4-mapped IPv6 address {} is not allowed", quote(text)))
            }
            _ => Ok(Cidr { address: ip, bits }),
        },
        _ => wrong("prefix length out of range".to_owned()),
    }
}

fn is_link_local_unicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    }
}

fn is_link_local_multicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
    }
}

fn is_global_unicast(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !broadcast && !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast() && !is_link_local_unicast(ip)
}

fn ip<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return no_overload() };
    parse_ip(text).map(Value::Ip).map_err(Failure::message)
}

fn is_ip<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return no_overload() };
    Ok(Value::Bool(parse_ip(text).is_ok()))
}

fn is_canonical<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return no_overload() };
    let ip = parse_ip(text).map_err(Failure::message)?;
    Ok(Value::Bool(ip.to_string() == **text))
}

fn of_ip<'a>(args: &[Value<'a>], read: fn(IpAddr) -> Value<'static>) -> Outcome<'a> {
    let [Value::Ip(ip)] = args else { return no_overload() };
    Ok(read(*ip))
}

fn of_cidr<'a>(args: &[Value<'a>], read: fn(Cidr) -> Value<'static>) -> Outcome<'a> {
    let [Value::Cidr(cidr)] = args else { return no_overload() };
    Ok(read(*cidr))
}

fn text<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    super::to_text(&args[0]).map_or_else(no_overload, |text| Ok(Value::text(text)))
}

fn read_cidr(text: &str) -> Result<Cidr, Failure> {
    parse_cidr(text)
        .map_err(|why| Failure::message(format!("network address parse error during conversion from string: {why}")))
}

fn cidr<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return no_overload() };
    read_cidr(text).map(Value::Cidr)
}

fn is_cidr<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return no_overload() };
    Ok(Value::Bool(parse_cidr(text).is_ok()))
}

fn contains_ip<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (network, ip) = match args {
        [Value::Cidr(network), Value::Ip(ip)] => (network, *ip),
        // A text that is no address is, to upstream, no argument at all.
        [Value::Cidr(network), Value::String(text)] => match parse_ip(text) {
            Ok(ip) => (network, ip),
            Err(_) => return no_overload(),
        },
        _ => return no_overload(),
    };
    Ok(Value::Bool(network.contains(ip)))
}

fn contains_cidr<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (network, other) = match args {
        [Value::Cidr(network), Value::Cidr(other)] => (network, *other),
        [Value::Cidr(network), Value::String(text)] => (network, read_cidr(text)?),
        _ => return no_overload(),
    };
    Ok(Value::Bool(network.bits <= other.bits && network.contains(other.address)))
}
