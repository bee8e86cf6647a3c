//! Names of months and of the halves of the day, in English and in the languages whose loggers localise them.

/// The month, 1 to 12, whose name stands at the start of `text`, and what follows it and its dot. Read are the names of
/// English, German, French, Spanish, Italian, Portuguese, Dutch, Polish and Russian, abbreviated or whole.
pub(super) fn month(text: &[u8]) -> Option<(u8, &[u8])> {
    if let Some((name, rest)) = text.split_first_chunk::<3>()
        && let Some(month) = english(name)
        && !rest.first().is_some_and(|&byte| is_letter(byte) || byte == b'.')
    {
        return Some((month, rest));
    }
    let length = text.iter().take(NAME_BYTES_MAX + 1).take_while(|&&byte| is_letter(byte)).count();
    let name = std::str::from_utf8(&text[..length]).ok()?;
    let month = named(name)?;
    let rest = &text[length..];
    Some((month, rest.strip_prefix(b".").unwrap_or(rest)))
}

/// The longest name, in bytes: `сентября`.
const NAME_BYTES_MAX: usize = 18;

/// A letter of ASCII, or a byte of a character beyond it.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0x80
}

/// The month of an English abbreviation.
pub(super) fn english(name: &[u8; 3]) -> Option<u8> {
    const NAMES: [u32; 12] = [
        word(b"Jan"),
        word(b"Feb"),
        word(b"Mar"),
        word(b"Apr"),
        word(b"May"),
        word(b"Jun"),
        word(b"Jul"),
        word(b"Aug"),
        word(b"Sep"),
        word(b"Oct"),
        word(b"Nov"),
        word(b"Dec"),
    ];
    let name = word(name);
    // All are looked at: no branch depends on which one it is.
    let places =
        NAMES.iter().enumerate().fold(0, |places, (at, other)| places | u16::from(*other == name) << at);
    (places != 0).then(|| places.trailing_zeros() as u8 + 1)
}

const fn word(name: &[u8; 3]) -> u32 {
    u32::from_le_bytes([name[0], name[1], name[2], 0])
}

/// Beginnings of names, at least as long as an abbreviation; longer ones stand before those that begin alike.
const BEGINNINGS: &[(&str, u8)] = &[
    ("jan", 1),
    ("ene", 1),
    ("gen", 1),
    ("sty", 1),
    ("янв", 1),
    ("feb", 2),
    ("fév", 2),
    ("fev", 2),
    ("lut", 2),
    ("фев", 2),
    ("mar", 3),
    ("mär", 3),
    ("mrz", 3),
    ("mrt", 3),
    ("maa", 3),
    ("мар", 3),
    ("apr", 4),
    ("avr", 4),
    ("abr", 4),
    ("kwi", 4),
    ("апр", 4),
    ("may", 5),
    ("mai", 5),
    ("mag", 5),
    ("mei", 5),
    ("maj", 5),
    ("май", 5),
    ("мая", 5),
    ("juin", 6),
    ("jun", 6),
    ("giu", 6),
    ("cze", 6),
    ("июн", 6),
    ("juil", 7),
    ("jul", 7),
    ("lug", 7),
    ("lip", 7),
    ("июл", 7),
    ("aug", 8),
    ("aoû", 8),
    ("ago", 8),
    ("sie", 8),
    ("авг", 8),
    ("sep", 9),
    ("set", 9),
    ("wrz", 9),
    ("сен", 9),
    ("oct", 10),
    ("okt", 10),
    ("ott", 10),
    ("out", 10),
    ("paź", 10),
    ("окт", 10),
    ("nov", 11),
    ("lis", 11),
    ("ноя", 11),
    ("dec", 12),
    ("dez", 12),
    ("déc", 12),
    ("dic", 12),
    ("gru", 12),
    ("дек", 12),
];

fn named(name: &str) -> Option<u8> {
    let lower = name.to_lowercase();
    BEGINNINGS.iter().find(|(beginning, _)| lower.starts_with(beginning)).map(|(_, month)| *month)
}

/// A half of the day behind a blank: ` PM`, ` p.m.`, ` p. m.`; true for the second one. Newer Java writes a narrow
/// no-break space before and inside it.
pub(super) fn half_of_day(text: &[u8]) -> Option<(bool, &[u8])> {
    let rest = blank(text)?;
    let (&letter, rest) = rest.split_first()?;
    let is_second = match letter {
        b'A' | b'a' => false,
        b'P' | b'p' => true,
        _ => return None,
    };
    let rest = rest.strip_prefix(b".").unwrap_or(rest);
    let rest = blank(rest).filter(|rest| rest.starts_with(b"m.")).unwrap_or(rest);
    let rest = rest.strip_prefix(b"M").or_else(|| rest.strip_prefix(b"m"))?;
    let rest = rest.strip_prefix(b".").unwrap_or(rest);
    (!rest.first().is_some_and(|&byte| is_letter(byte))).then_some((is_second, rest))
}

fn blank(text: &[u8]) -> Option<&[u8]> {
    let blanks = ["\u{202f}", "\u{a0}", " "];
    blanks.iter().find_map(|blank| text.strip_prefix(blank.as_bytes()))
}
