//! Which addresses a webhook may be sent to: public unicast ones, and what the operator allows by name of
//! network. Judged on the address that is dialled, so that no answer of a name server gets around it.
//!
//! The table follows the IANA special-purpose registries (RFC 6890 and its updates).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    base: IpAddr,
    prefix: u32,
}

impl FromStr for Network {
    type Err = ();
    /// `10.0.0.0/8`, `fd00::/8`; an address without a prefix is itself alone.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let base: IpAddr = address.parse().map_err(|_| ())?;
        let width = width(base);
        let prefix = prefix.map_or(Ok(width), str::parse).map_err(|_| ())?;
        if prefix > width { Err(()) } else { Ok(Self { base, prefix }) }
    }
}

impl Network {
    const fn v4(base: [u8; 4], prefix: u32) -> Self {
        Self { base: IpAddr::V4(Ipv4Addr::new(base[0], base[1], base[2], base[3])), prefix }
    }

    const fn v6(base: [u16; 4], prefix: u32) -> Self {
        let [a, b, c, d] = base;
        Self { base: IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)), prefix }
    }

    fn holds(&self, address: IpAddr) -> bool {
        if self.base.is_ipv4() != address.is_ipv4() {
            return false;
        }
        let shift = width(address) - self.prefix;
        // A shift by the whole width is the network of everything.
        bits(self.base).checked_shr(shift) == bits(address).checked_shr(shift)
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Not public unicast.
const SPECIAL_V4: [Network; 16] = [
    Network::v4([0, 0, 0, 0], 8),
    Network::v4([10, 0, 0, 0], 8),
    Network::v4([100, 64, 0, 0], 10),
    Network::v4([127, 0, 0, 0], 8),
    Network::v4([169, 254, 0, 0], 16),
    Network::v4([172, 16, 0, 0], 12),
    Network::v4([192, 0, 0, 0], 24),
    Network::v4([192, 0, 2, 0], 24),
    Network::v4([192, 88, 99, 0], 24),
    Network::v4([192, 168, 0, 0], 16),
    Network::v4([198, 18, 0, 0], 15),
    Network::v4([198, 51, 100, 0], 24),
    Network::v4([203, 0, 113, 0], 24),
    Network::v4([224, 0, 0, 0], 4),
    Network::v4([240, 0, 0, 0], 4),
    Network::v4([168, 63, 129, 16], 32),
];

/// All of global unicast; what lies outside is loopback, local, multicast or unassigned.
const GLOBAL_V6: Network = Network::v6([0x2000, 0, 0, 0], 3);

/// Parts of global unicast that are not: protocol assignments and Teredo, documentation, segment routing.
const SPECIAL_V6: [Network; 3] = [
    Network::v6([0x2001, 0, 0, 0], 23),
    Network::v6([0x2001, 0x0db8, 0, 0], 32),
    Network::v6([0x3fff, 0, 0, 0], 20),
];

const NAT64: Network = Network::v6([0x0064, 0xff9b, 0, 0], 96);
const SIX_TO_FOUR: Network = Network::v6([0x2002, 0, 0, 0], 16);

/// Whether a webhook may go to this address.
pub(super) fn is_allowed(address: IpAddr, allowed: &[Network]) -> bool {
    let address = address.to_canonical();
    allowed.iter().any(|network| network.holds(address)) || is_public(address)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => !SPECIAL_V4.iter().any(|network| network.holds(address)),
        IpAddr::V6(v6) => match embedded(v6) {
            Some(inner) => is_public(IpAddr::V4(inner)),
            None => GLOBAL_V6.holds(address) && !SPECIAL_V6.iter().any(|network| network.holds(address)),
        },
    }
}

/// The address behind a translator.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    let low = |bits: u128| Ipv4Addr::from_bits((bits & u128::from(u32::MAX)) as u32);
    if NAT64.holds(IpAddr::V6(address)) {
        Some(low(bits))
    } else if SIX_TO_FOUR.holds(IpAddr::V6(address)) {
        Some(low(bits >> 80))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, allowed: &[&str], expected: bool) {
        let networks: Vec<Network> = allowed.iter().map(|text| text.parse().expect("network")).collect();
        let ip = address.parse().expect("address");
        assert_eq!(is_allowed(ip, &networks), expected, "{address} with {allowed:?}");
    }

    #[test]
    fn public_addresses_are_allowed() {
        for address in [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::",
        ] {
            check(address, &[], true);
        }
    }

    #[test]
    fn every_way_to_say_an_inner_address_is_refused() {
        let inner = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "192.88.99.1",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2002:c0a8:101::",
            "2001::1",
            "2001:0:4136:e378::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "100::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ];
        for address in inner {
            check(address, &[], false);
        }
    }

    #[test]
    fn an_allowed_network_opens_itself_and_nothing_else() {
        check("10.1.2.3", &["10.1.0.0/16"], true);
        check("::ffff:10.1.2.3", &["10.1.0.0/16"], true);
        check("10.2.0.1", &["10.1.0.0/16"], false);
        check("127.0.0.1", &["127.0.0.1"], true);
        check("127.0.0.2", &["127.0.0.1"], false);
        check("fd12::1", &["fd00::/8"], true);
        check("64:ff9b::a00:1", &["10.0.0.0/8"], false);
        check("192.168.0.1", &["0.0.0.0/0"], true);
        check("fe80::1", &["0.0.0.0/0"], false);
        check("fe80::1", &["::/0"], true);
    }

    #[test]
    fn a_network_that_is_none_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "fd00::/129",
            "10.0.0/8",
            "localhost",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "fe80::1%1",
        ] {
            assert_eq!(text.parse::<Network>(), Err(()), "{text}");
        }
    }
}
