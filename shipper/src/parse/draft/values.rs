//! What a value's text can be: an address, a number.

use std::net::IpAddr;

use weir_record::scan::{BLOCK_BYTES, between, digits, find, padded, places};

/// Whether a text is an IP address, as [`IpAddr`] reads it: IPv4, which nearly all are, by hand.
pub(in crate::parse) fn is_ip_address(text: &str) -> bool {
    is_ipv4_address(text.as_bytes())
        || find(b':', text.as_bytes()).is_some() && text.parse::<IpAddr>().is_ok()
}

/// Without a branch for each digit: those of addresses cannot be foreseen.
fn is_ipv4_address(text: &[u8]) -> bool {
    const SHORTEST: usize = 7;
    const LONGEST: usize = 15;
    if !(SHORTEST..=LONGEST).contains(&text.len()) {
        return false;
    }
    let block = padded(text);
    let mut ends = places(b'.', &block) | 1 << text.len();
    if ends | between(b'0', b'9', &block) != u32::MAX >> (31 - text.len()) {
        return false;
    }
    // The last number may begin in the last byte.
    let mut bytes = [0; 2 * BLOCK_BYTES];
    bytes[..BLOCK_BYTES].copy_from_slice(&block);
    let (mut start, mut all_valid) = (0, true);
    for _ in 0..4 {
        let end = ends.trailing_zeros();
        ends &= ends.wrapping_sub(1);
        let digits = bytes.get(start as usize..).and_then(|bytes| bytes.first_chunk());
        all_valid &=
            digits.is_some_and(|digits| is_octet(u32::from_le_bytes(*digits), end.wrapping_sub(start)));
        start = end + 1;
    }
    all_valid && ends == 0
}

/// Whether the first `length` bytes of a little-endian word, which are digits, are a number from 0 to 255. No number
/// begins with a zero but zero itself.
#[inline]
const fn is_octet(digits: u32, length: u32) -> bool {
    const LEAST: [u32; 4] = [0, 0, 10, 100];
    // The last digit comes into the highest byte, zeros before the first.
    let digits = (digits ^ 0x3030_3030).unbounded_shl(32_u32.wrapping_sub(8 * length));
    let number = (digits >> 8 & 0xFF) * 100 + (digits >> 16 & 0xFF) * 10 + (digits >> 24);
    (length.wrapping_sub(1) < 3) & (number <= 255) & (number >= LEAST[(length & 3) as usize])
}

/// Whether a text is a number of digits that 64 bits hold.
pub(in crate::parse) fn is_number(text: &str) -> bool {
    const DIGITS_MAX: usize = 18;
    matches!(text.len(), 1..=DIGITS_MAX) && digits(text.as_bytes()) == text.len()
}

/// Whether text is a boolean or a number that loses nothing as one: no exponent, no leading zeros.
pub(in crate::parse) fn is_json_scalar(text: &str) -> bool {
    const DIGITS_MAX: usize = 18;
    let text = text.as_bytes();
    let number = text.strip_prefix(b"-").unwrap_or(text);
    match number {
        [b'0'] | [b'0', b'.', ..] | [b'1'..=b'9', ..] if number.len() <= DIGITS_MAX => {
            let integer = digits(number);
            match number[integer..].split_first() {
                None => true,
                Some((b'.', fraction)) => !fraction.is_empty() && digits(fraction) == fraction.len(),
                Some(_) => false,
            }
        }
        _ => matches!(text, b"true" | b"false"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_address_is_what_the_standard_library_reads_as_one() {
        bolero::check!().with_type::<Vec<u8>>().with_iterations(20_000).for_each(|choices| {
            const PIECES: [&str; 14] =
                ["0", "1", "9", "25", "255", "256", "192", "00", ".", ".", ".", "..", "/", "a"];
            let text: String =
                choices.iter().map(|choice| PIECES[usize::from(*choice) % PIECES.len()]).collect();
            let octets = [0, 1, 2, 3].map(|at| choices.get(at).copied().unwrap_or_default());
            for text in [text, Ipv4Addr::from(octets).to_string()] {
                assert_eq!(is_ipv4_address(text.as_bytes()), text.parse::<Ipv4Addr>().is_ok(), "{text}");
            }
        });
        for octet in ["255", "256", "299", "300", "999", "00", "01", "001", "0", "1111", "-1", " 1", ""] {
            for text in [format!("{octet}.2.3.4"), format!("1.{octet}.3.4"), format!("1.2.3.{octet}")] {
                assert_eq!(is_ipv4_address(text.as_bytes()), text.parse::<Ipv4Addr>().is_ok(), "{text}");
            }
        }
        for other in ["1.2.3.4.", ".1.2.3.4", "1.2.3", "1.2.3.4.5", "1.2.3.04", "1.2.3.2560", "1.2.3.4 "] {
            assert!(!is_ip_address(other), "{other}");
        }
        assert!(is_ip_address("::ffff:1.2.3.4") && is_ip_address("2001:db8::1") && !is_ip_address("12:30"));
    }
}
