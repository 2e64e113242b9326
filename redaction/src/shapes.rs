//! Shapes of numbers and addresses, found with bit operations on masks of 64 bytes.
//!
//! Each bit of a mask says whether one byte of the text belongs to a class. A shape is a formula over
//! masks that looks back only, so it fires at the last byte it needs; 64 bytes of look-back are
//! kept from one group to the next. Knows nothing of what a shape may mean.

use std::ops::{BitAnd, BitOr, Not};

/// Masks that are worked on together: one group of text and the 64 bytes before it.
pub(crate) const N_LANES: usize = 8;
/// Bytes of one mask.
pub(crate) const LANE_BYTES: usize = 64;
/// New bytes of a group.
pub(crate) const GROUP_BYTES: usize = (N_LANES - 1) * LANE_BYTES;

/// Where a detector wants to be asked, besides at literals. Offsets are those of the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `@`.
    At,
    /// `+` and a digit.
    PlusDigit,
    /// The fourth of four dotted numbers of up to three digits, at its first digit: `1.2.3.4`.
    DottedQuad,
    /// A colon that is the fourth of colons at most five bytes apart, or the second of `::`.
    Colons,
    /// Six pairs divided by `:` or `-`, at the last divider, or `hhhh.hhhh.`, at the second dot.
    Pairs,
    /// `) ddd-d`, `)ddd-d`, also with space and dot.
    Parenthesis3,
    /// `ddddddAddd` with any upper-case letter, a hyphen or a plus between the digits.
    SixAndThree,
    /// Four digits and an upper-case letter, or the reverse, with nothing between.
    DigitsAndLetter,
    /// `AddAddAdddA`: from the middle of an Italian tax code.
    LettersAmongDigits,
    /// Two letters that begin a word, two digits and eleven letters or digits, or a space and a
    /// word of four: an IBAN.
    Iban,
    /// The 26th of a run of letters and digits.
    LongWord,
    /// Where a number of eight digits or of several groups may be. Detectors do not name it: the
    /// engine measures the number and asks those whose [`numbers`](crate::Rule::numbers) have it.
    Number,
}

impl Shape {
    /// Every shape, in the order of [`Found::masks`].
    pub(crate) const ALL: [Self; N_SHAPES] = [
        Self::At,
        Self::PlusDigit,
        Self::DottedQuad,
        Self::Colons,
        Self::Pairs,
        Self::Parenthesis3,
        Self::SixAndThree,
        Self::DigitsAndLetter,
        Self::LettersAmongDigits,
        Self::Iban,
        Self::LongWord,
        Self::Number,
    ];
}

/// Number of shapes.
pub(crate) const N_SHAPES: usize = 12;

/// One bit for each byte of a group; lane 0 is the 64 bytes before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(align(64))]
pub(crate) struct Lanes(pub(crate) [u64; N_LANES]);

impl Lanes {
    /// The mask as seen `n` bytes later: bit `i` tells of byte `i - n`. `n` is 1 to 63.
    #[inline(always)]
    fn back(self, n: u32) -> Self {
        let mut before = [0; N_LANES];
        before[1..].copy_from_slice(&self.0[..N_LANES - 1]);
        Self(std::array::from_fn(|i| self.0[i] << n | before[i] >> (64 - n)))
    }
}

impl BitAnd for Lanes {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }
}

impl BitOr for Lanes {
    type Output = Self;
    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }
}

impl Not for Lanes {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        Self(std::array::from_fn(|i| !self.0[i]))
    }
}

/// Which bytes belong to which class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Classes {
    pub(crate) digit: Lanes,
    pub(crate) upper: Lanes,
    /// ASCII letters of either case.
    pub(crate) letter: Lanes,
    /// `a` to `f` and `A` to `F`.
    pub(crate) hex_letter: Lanes,
    /// `_` and bytes of 0x80 and above, which continue a word as letters and digits do.
    pub(crate) word_mark: Lanes,
    pub(crate) at: Lanes,
    pub(crate) plus: Lanes,
    pub(crate) dot: Lanes,
    pub(crate) colon: Lanes,
    pub(crate) hyphen: Lanes,
    pub(crate) space: Lanes,
    pub(crate) close: Lanes,
    pub(crate) backslash: Lanes,
}

impl Classes {
    /// Makes the last lane the one before the next group.
    #[inline(always)]
    pub(crate) fn advance(&mut self) {
        for lanes in self.all() {
            lanes.0[0] = lanes.0[N_LANES - 1];
        }
    }

    /// Takes a lane behind the end of the text out of every class.
    #[inline(always)]
    pub(crate) fn clear(&mut self, lane: usize) {
        for lanes in self.all() {
            lanes.0[lane] = 0;
        }
    }

    #[inline(always)]
    fn all(&mut self) -> [&mut Lanes; 13] {
        [
            &mut self.digit,
            &mut self.upper,
            &mut self.letter,
            &mut self.hex_letter,
            &mut self.word_mark,
            &mut self.at,
            &mut self.plus,
            &mut self.dot,
            &mut self.colon,
            &mut self.hyphen,
            &mut self.space,
            &mut self.close,
            &mut self.backslash,
        ]
    }
}

/// Where the shapes of one group are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// One mask a shape, in the order of [`Shape::ALL`].
    pub(crate) masks: [Lanes; N_SHAPES],
    /// All of `masks` together.
    pub(crate) any: Lanes,
    /// Where the four bytes of a literal may begin.
    pub(crate) literals: Lanes,
}

/// Computes the masks of all shapes. Inlined into each dispatch path, whose vectors it then uses.
#[inline(always)]
pub(crate) fn find(classes: &Classes, found: &mut Found) {
    let Classes { digit, upper, dot, colon, hyphen, space, .. } = *classes;
    let digits2 = digit & digit.back(1);
    let digits3 = digits2 & digit.back(2);
    let digits4 = digits2 & digits2.back(2);
    let digits6 = digits4 & digits2.back(4);
    let digits8 = digits4 & digits4.back(4);
    let separator = space | hyphen | dot;

    let after_dot = digit & dot.back(1) & digit.back(2);
    let near = |quad: Lanes| quad.back(2) | quad.back(3) | quad.back(4);
    let third = after_dot & near(after_dot);
    let quad = after_dot & near(third);

    let within5 = |colons: Lanes| {
        colons.back(1) | colons.back(2) | colons.back(3) | colons.back(4) | colons.back(5)
    };
    let third_colon = colon & within5(colon & within5(colon));
    let colons = (colon & within5(third_colon)) | (colon & colon.back(1));

    let is_six = |divider: Lanes| {
        let two = divider & divider.back(3);
        two & two.back(6) & divider.back(12)
    };
    let hex = digit | classes.hex_letter;
    let hex2 = hex & hex.back(1);
    let hex4 = hex2 & hex2.back(2);
    let dotted_pairs = dot & dot.back(5) & hex4.back(1) & hex4.back(6);

    let ssn_middle = hyphen & digits2.back(1) & hyphen.back(3);
    let triple = separator & digits3.back(1) & separator.back(4);
    let after_triple = digit & triple.back(1);
    let quadruple = separator & digits4.back(1) & separator.back(5) & digits4.back(6);
    let parenthesis = classes.close.back(5) | (space.back(5) & classes.close.back(6));

    let century = hyphen | classes.plus | upper;
    let letter_middle = upper & digits3.back(1) & upper.back(4);

    let six_and_three = digits3 & century.back(3) & digits6.back(4) & !digit.back(10);
    // Groups of 3-2-4 digits, of x-3-x, of 4-4-x, of 4-6, or eight in a row.
    let number = (digits4 & ssn_middle.back(4) & digits3.back(8))
        | (after_triple & digit.back(6))
        | (digit & quadruple.back(1))
        | (digits6 & separator.back(6) & digits4.back(7))
        | six_and_three
        | (digits8 & !digit.back(8));

    found.masks = [
        classes.at,
        digit & classes.plus.back(1),
        quad,
        colons,
        is_six(colon) | is_six(hyphen) | dotted_pairs,
        digit & separator.back(1) & digits3.back(2) & parenthesis,
        six_and_three,
        (upper & digits4.back(1)) | (digits4 & upper.back(4)),
        letter_middle & digits2.back(5) & upper.back(7) & digits2.back(8) & upper.back(10),
        iban(classes, digits2),
        long_word(classes),
        number,
    ];
    found.any = found.masks.iter().fold(Lanes::default(), |any, mask| any | *mask);
}

#[inline(always)]
fn iban(classes: &Classes, digits2: Lanes) -> Lanes {
    let Classes { letter, space, .. } = *classes;
    let alphanumeric = letter | classes.digit;
    let word = alphanumeric | classes.word_mark;
    let two = alphanumeric & alphanumeric.back(1);
    let four = two & two.back(2);
    let eleven = four & four.back(4) & two.back(8) & alphanumeric.back(10);
    // The `n` of an escaped line break is no part of the word after it.
    let begins = !word.back(4) | classes.backslash.back(5);
    let head = digits2 & letter.back(2) & letter.back(3) & begins;
    (eleven & head.back(11)) | (space & four.back(1) & space.back(5) & head.back(6))
}

#[inline(always)]
fn long_word(classes: &Classes) -> Lanes {
    let alphanumeric = classes.letter | classes.digit;
    let two = alphanumeric & alphanumeric.back(1);
    let four = two & two.back(2);
    let eight = four & four.back(4);
    let sixteen = eight & eight.back(8);
    sixteen & eight.back(16) & two.back(24) & !alphanumeric.back(26)
}
