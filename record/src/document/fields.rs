//! Which fields a document has.

use crate::schema::{Field, Origin};

/// A set of schema fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldSet([u64; 2]);

impl FieldSet {
    /// No field.
    pub const EMPTY: FieldSet = FieldSet([0; 2]);

    /// The fields that only Weir writes: a line's own are kept under `attributes`.
    pub fn weir_only() -> FieldSet {
        Field::ALL.iter().filter(|field| field.origin() == Origin::Weir).copied().collect()
    }

    /// Adds a field; false where it was in the set.
    #[inline]
    pub const fn insert(&mut self, field: Field) -> bool {
        let (word, bit) = Self::place(field);
        let fresh = self.0[word] & bit == 0;
        self.0[word] |= bit;
        fresh
    }

    /// Whether the field is in the set.
    #[inline]
    pub const fn contains(self, field: Field) -> bool {
        let (word, bit) = Self::place(field);
        self.0[word] & bit != 0
    }

    /// Whether a field is in both.
    pub(super) const fn meets(self, other: FieldSet) -> bool {
        self.0[0] & other.0[0] | self.0[1] & other.0[1] != 0
    }

    /// The fields of both.
    pub(super) const fn and(self, other: FieldSet) -> FieldSet {
        FieldSet([self.0[0] | other.0[0], self.0[1] | other.0[1]])
    }

    /// The word and the bit of a field.
    const fn place(field: Field) -> (usize, u64) {
        ((field as usize / u64::BITS as usize) % 2, 1 << (field as u32 % u64::BITS))
    }
}

impl FromIterator<Field> for FieldSet {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> FieldSet {
        let mut set = FieldSet::EMPTY;
        for field in fields {
            set.insert(field);
        }
        set
    }
}

const _: () = assert!(Field::ALL.len() <= 128, "a field set has 128 bits");
