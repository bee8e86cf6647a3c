//! The pass over a line in blocks of 32 bytes, with AVX2.
//!
//! What a byte is stands in two tables, of its low and of its high half: the bits that it has in both. Asked for three
//! bytes in a row, with a bit for each group of literals, that is the search named Teddy
//! (<https://github.com/BurntSushi/aho-corasick/tree/master/src/packed/teddy>). Digits and separators become bits of whole
//! numbers, in which shifts find long rows.
//!
//! Libraries make one pass for each of these searches: with them a clean line of 208 bytes cost 96 ns, with this 36
//! (`benches/README.md`). The only unsafe code, here and in all of Weir, is the call of what is compiled for AVX2; all
//! bytes are read through slices and arrays.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_alignr_epi8, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set1_epi8, _mm256_setr_epi64x, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_testz_si256,
};

use super::{Groups, Literal, Signs};
use crate::redact::card;

const BLOCK_BYTES: usize = 32;

/// Bytes of a literal by which candidates are told.
const PREFIX_BYTES: usize = 3;

/// From block to block: a prefix is whole in one of them.
const STEP_BYTES: usize = BLOCK_BYTES - PREFIX_BYTES + 1;

/// Bytes of which it is known at once what is a digit: a row that is long enough is whole in them with its 13th byte.
const WINDOW_BYTES: usize = u64::BITS as usize;

// Classes of bytes. The first bits of all 32 bytes can be taken out at once.
const DIGIT: u8 = 1 << 7;
const SEPARATOR: u8 = 1 << 6;
const AT: u8 = 1 << 5;

type Block = [u8; BLOCK_BYTES];

/// The tables, and the literals for a closer look.
#[derive(Debug)]
pub(in crate::redact) struct Scanner {
    classes: Table,
    /// For each byte of a prefix: the groups that have such a byte there.
    groups: [Table; PREFIX_BYTES],
    /// For each byte of a prefix: the literals that have this byte there, a bit for each.
    having: [[u64; 256]; PREFIX_BYTES],
    literals: Vec<&'static [u8]>,
}

/// Bits of bytes, by their halves. All stands twice: each 16 bytes of a register are looked up in their own 16.
#[derive(Clone, Copy, Debug)]
struct Table {
    low: Block,
    high: Block,
}

impl Scanner {
    pub(super) fn new(groups: &Groups) -> Option<Scanner> {
        if !is_x86_feature_detected!("avx2") {
            return None;
        }
        let mut scanner = Scanner {
            classes: Table::EMPTY,
            groups: [Table::EMPTY; PREFIX_BYTES],
            having: [[0; 256]; PREFIX_BYTES],
            literals: Vec::new(),
        };
        (b'0'..=b'9').for_each(|digit| scanner.classes.add(digit, DIGIT));
        [b' ', b'-'].into_iter().for_each(|separator| scanner.classes.add(separator, SEPARATOR));
        scanner.classes.add(b'@', AT);
        for (group, literals) in groups.iter().enumerate() {
            literals.iter().for_each(|(literal, _)| scanner.add(group, literal));
        }
        Some(scanner)
    }

    fn add(&mut self, group: usize, literal: &'static str) {
        let number = self.literals.len();
        for (place, byte) in literal.bytes().take(PREFIX_BYTES).enumerate() {
            self.groups[place].add(byte, 1 << group);
            self.having[place][usize::from(byte)] |= 1 << number;
        }
        self.literals.push(literal.as_bytes());
    }

    /// Adds the literals of a line to `literals`, each once: 16 bytes for three of a line's, which has a limit.
    #[expect(unsafe_code, reason = "only who knows that there is AVX2 may call what is compiled for it")]
    pub(super) fn look(&self, line: &[u8], literals: &mut Vec<Literal>) -> Signs {
        let mut padded = [0; BLOCK_BYTES];
        let line = if line.len() < BLOCK_BYTES {
            padded[..line.len()].copy_from_slice(line);
            &padded
        } else {
            line
        };
        // SAFETY: there is a scanner only if the processor has AVX2, see `new`; `pass` asks nothing else of its caller.
        unsafe { self.pass(line, literals) }
    }

    /// Of a line of a block or more.
    #[target_feature(enable = "avx2")]
    fn pass(&self, line: &[u8], literals: &mut Vec<Literal>) -> Signs {
        let last = line.len() - BLOCK_BYTES;
        let mut signs = Signs::default();
        let mut classes_seen = _mm256_setzero_si256();
        // Of the last 64 bytes, the last one's bit first: digits, and digits or separators.
        let (mut digits, mut rows) = (0, 0);
        let mut start = 0;
        while let Some(block) = line.get(start..).and_then(<[u8]>::first_chunk) {
            let halves = Halves::of(block);
            let classes = halves.look_up(&self.classes);
            classes_seen = _mm256_or_si256(classes_seen, classes);
            digits |= first_bits(classes) << (WINDOW_BYTES - BLOCK_BYTES);
            rows |= first_bits(_mm256_or_si256(classes, next_bits(classes))) << (WINDOW_BYTES - BLOCK_BYTES);
            if card::long_rows(rows) != 0
                && signs.row.is_none()
                && let Some(at) = card::row(digits, rows & !digits)
            {
                signs.row = Some(start + BLOCK_BYTES + at - WINDOW_BYTES);
            }
            let candidates = self.candidates(halves);
            if candidates != 0 {
                self.add_literals(line, start, candidates, literals);
            }
            if start == last {
                break;
            }
            let next = (start + STEP_BYTES).min(last);
            digits >>= next - start;
            rows >>= next - start;
            start = next;
        }
        signs.has_at = _mm256_testz_si256(classes_seen, _mm256_set1_epi8(AT.cast_signed())) == 0;
        signs
    }

    /// A bit for each byte of a block where a literal may begin.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn candidates(&self, halves: Halves) -> u32 {
        let [first, second, third] = self.groups.each_ref().map(|table| halves.look_up(table));
        let first_two = _mm256_and_si256(first, from_byte::<1>(second));
        let groups = _mm256_and_si256(first_two, from_byte::<2>(third));
        let has_none = _mm256_cmpeq_epi8(groups, _mm256_setzero_si256());
        !_mm256_movemask_epi8(has_none).cast_unsigned()
    }

    /// Looks closer at the candidates from `start` on. Where blocks overlap a literal is seen twice.
    #[cold]
    #[inline(never)]
    fn add_literals(&self, line: &[u8], start: usize, candidates: u32, literals: &mut Vec<Literal>) {
        for start in bits(candidates.into()).map(|candidate| start + candidate) {
            let text = &line[start..];
            let having = self.having.iter().zip(text).map(|(having, byte)| having[usize::from(*byte)]);
            let number = bits(having.fold(u64::MAX, |all, these| all & these))
                .find(|number| text.starts_with(self.literals[*number]));
            let is_new = literals.last().is_none_or(|last| last.start < start);
            literals.extend(number.filter(|_| is_new).map(|number| Literal { start, number }));
        }
    }
}

impl Table {
    const EMPTY: Table = Table { low: [0; BLOCK_BYTES], high: [0; BLOCK_BYTES] };

    fn add(&mut self, byte: u8, bit: u8) {
        for lane in [0, BLOCK_BYTES / 2] {
            self.low[lane + usize::from(byte & 15)] |= bit;
            self.high[lane + usize::from(byte >> 4)] |= bit;
        }
    }
}

/// The halves of a block's bytes, as a table is asked for them.
#[derive(Clone, Copy)]
struct Halves {
    /// Whole bytes: the processor takes their low half itself, and gives no bits for what is no ASCII.
    low: __m256i,
    high: __m256i,
}

impl Halves {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn of(block: &Block) -> Halves {
        let low = load(block);
        Halves { low, high: _mm256_and_si256(_mm256_srli_epi16::<4>(low), _mm256_set1_epi8(15)) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn look_up(self, table: &Table) -> __m256i {
        let low = _mm256_shuffle_epi8(load(&table.low), self.low);
        let high = _mm256_shuffle_epi8(load(&table.high), self.high);
        _mm256_and_si256(low, high)
    }
}

/// Becomes one instruction; the intrinsic for it takes a pointer.
#[target_feature(enable = "avx2")]
#[inline]
fn load(block: &Block) -> __m256i {
    let (words, _) = block.as_chunks();
    let word = |at: usize| i64::from_le_bytes(words[at]);
    _mm256_setr_epi64x(word(0), word(1), word(2), word(3))
}

/// The first bit of each byte.
#[target_feature(enable = "avx2")]
#[inline]
fn first_bits(block: __m256i) -> u64 {
    _mm256_movemask_epi8(block).cast_unsigned().into()
}

/// The second bit of each byte as its first.
#[target_feature(enable = "avx2")]
#[inline]
fn next_bits(block: __m256i) -> __m256i {
    _mm256_add_epi8(block, block)
}

/// The block from one of its bytes on, and zeros behind it.
#[target_feature(enable = "avx2")]
#[inline]
fn from_byte<const BYTE: i32>(block: __m256i) -> __m256i {
    // The second lane, and zeros.
    let behind = _mm256_permute2x128_si256::<0x81>(block, block);
    _mm256_alignr_epi8::<BYTE>(behind, block)
}

/// The places of the bits that are set.
fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(lowest)
    })
}
