//! Shapes of numbers and addresses, found with bit operations on masks of 64 bytes.
//!
//! Each bit of a mask says whether one byte of the text belongs to a class. A shape is a formula over
//! masks that looks back only, so it fires at the last byte it needs; 64 bytes of look-back are
//! kept from one group to the next. Knows nothing of what a shape may mean.

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
    /// The 26th of a run of letters and digits, with a digit among the first sixteen, that begins as
    /// addresses of coins and ids of Twilio do: with `0`, `1`, `3`, `A`, `B`, `S` or `b`, or with an
    /// escape.
    LongWord,
    /// `%40` or `\u00`, at the last byte: text that must be read through its encoding. Detectors do not
    /// name it.
    Encoded,
    /// The fourth of a run of digits.
    Digits4,
    /// Where a number of eight digits or of several groups may be. Detectors do not name it: the
    /// engine measures the number and asks those whose [`numbers`](crate::Rule::numbers) have it.
    Number,
}

impl Shape {
    /// Every shape, in the order of [`find`].
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
        Self::Encoded,
        Self::Digits4,
        Self::Number,
    ];
}

/// Number of shapes.
pub(crate) const N_SHAPES: usize = 14;

/// A group of masks as a dispatch path computes with it: bit `i` of lane `n` tells of one byte.
pub(crate) trait Mask: Copy {
    /// Brings a mask into the registers of the path.
    fn load(lanes: &Lanes) -> Self;
    /// Takes it out again.
    fn store(self, lanes: &mut Lanes);
    /// The bits of both.
    fn and(self, other: Self) -> Self;
    /// The bits of either.
    fn or(self, other: Self) -> Self;
    /// The bits of `self` that are not in `other`.
    fn without(self, other: Self) -> Self;
    /// The mask as seen `n` bytes later: bit `i` tells of byte `i - n`. `n` is 1 to 63.
    fn back(self, n: u32) -> Self;
    /// Bit `n` tells whether lane `n` has any bit.
    fn used_lanes(self) -> u8;
}

/// One bit for each byte of a group; lane 0 is the 64 bytes before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(align(64))]
pub(crate) struct Lanes(pub(crate) [u64; N_LANES]);

/// What a byte can be. A mask of [`Classes`] is found at the index of its class.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Class {
    Digit,
    Upper,
    /// ASCII letters of either case.
    Letter,
    /// `a` to `f` and `A` to `F`.
    HexLetter,
    /// `_` and bytes of 0x80 and above, which continue a word as letters and digits do.
    WordMark,
    At,
    Plus,
    Dot,
    Colon,
    Hyphen,
    Space,
    Close,
    Backslash,
    Percent,
    /// What begins a [`Shape::LongWord`].
    LongWordFirst,
}

/// Number of classes.
pub(crate) const N_CLASSES: usize = 15;

/// The classes of a byte: bit `n` is the class with index `n`.
pub(crate) const fn classes_of(byte: u8) -> u16 {
    let letter = 1 << Class::Letter as u16;
    let hex = letter | 1 << Class::HexLetter as u16;
    let upper = 1 << Class::Upper as u16;
    let first = 1 << Class::LongWordFirst as u16;
    match byte {
        b'0' | b'1' | b'3' => first | 1 << Class::Digit as u16,
        b'2' | b'4'..=b'9' => 1 << Class::Digit as u16,
        b'A' | b'B' => first | upper | hex,
        b'C'..=b'F' => upper | hex,
        b'S' => first | upper | letter,
        b'G'..=b'Z' => upper | letter,
        b'b' => first | hex,
        b'a'..=b'f' => hex,
        b'g'..=b'z' => letter,
        b'_' | 0x80.. => 1 << Class::WordMark as u16,
        b'@' => 1 << Class::At as u16,
        b'+' => 1 << Class::Plus as u16,
        b'.' => 1 << Class::Dot as u16,
        b':' => 1 << Class::Colon as u16,
        b'-' => 1 << Class::Hyphen as u16,
        b' ' => 1 << Class::Space as u16,
        b')' => 1 << Class::Close as u16,
        b'\\' => 1 << Class::Backslash as u16,
        b'%' => 1 << Class::Percent as u16,
        _ => 0,
    }
}

/// Which bytes belong to which class.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Classes<M>(pub(crate) [M; N_CLASSES]);

impl<M: Copy> Classes<M> {
    #[inline(always)]
    fn of(&self, class: Class) -> M {
        self.0[class as usize]
    }
}

impl Classes<Lanes> {
    /// Says of lane `lane` which bytes belong to `class`.
    #[inline(always)]
    pub(crate) fn set(&mut self, class: Class, lane: usize, mask: u64) {
        self.0[class as usize].0[lane] = mask;
    }

    /// Makes the last lane the one before the next group.
    #[inline(always)]
    pub(crate) fn advance(&mut self) {
        for mask in &mut self.0 {
            mask.0[0] = mask.0[N_LANES - 1];
        }
    }

    /// Takes a lane behind the end of the text out of every class.
    #[inline(always)]
    pub(crate) fn clear(&mut self, lane: usize) {
        for mask in &mut self.0 {
            mask.0[lane] = 0;
        }
    }
}

impl Default for Classes<Lanes> {
    fn default() -> Self {
        Self([Lanes::default(); N_CLASSES])
    }
}

/// Where the shapes of one group are: one mask a shape, in the order of [`Shape::ALL`].
///
/// Inlined into each dispatch path, which brings its vectors as `M`.
#[inline(always)]
pub(crate) fn find<M: Mask>(classes: &Classes<M>) -> [M; N_SHAPES] {
    let [digit, upper, dot] = [Class::Digit, Class::Upper, Class::Dot].map(|c| classes.of(c));
    let [hyphen, space, plus] = [Class::Hyphen, Class::Space, Class::Plus].map(|c| classes.of(c));
    let digits2 = digit.and(digit.back(1));
    let digits3 = digits2.and(digit.back(2));
    let digits4 = digits2.and(digits2.back(2));
    let digits6 = digits4.and(digits2.back(4));
    let digits8 = digits4.and(digits4.back(4));
    let separator = space.or(hyphen).or(dot);

    let ssn_middle = hyphen.and(digits2.back(1)).and(hyphen.back(3));
    let triple = separator.and(digits3.back(1)).and(separator.back(4));
    let quadruple = separator.and(digits4.back(1)).and(separator.back(5)).and(digits4.back(6));
    let century = hyphen.or(plus).or(upper);
    let six_and_three = digits3.and(century.back(3)).and(digits6.back(4)).without(digit.back(10));
    // Digits that go on a word are none; the letter of an escape such as `\n` is no part of a word.
    let word = classes.of(Class::Letter).or(classes.of(Class::WordMark));
    let part = word.without(classes.of(Class::Backslash).back(1));
    let plain = digits8.without(digit.back(8)).without(part.back(8));
    // Groups of 3-2-4 digits, of 2-3-x, of 4-4-x, of 4-6, or eight in a row.
    let number = (digits4.and(ssn_middle.back(4)).and(digits3.back(8)))
        .or(digit.and(triple.back(1)).and(digits2.back(6)))
        .or(digit.and(quadruple.back(1)))
        .or(digits6.and(separator.back(6)).and(digits4.back(7)))
        .or(six_and_three)
        .or(plain);

    let letter_middle = upper.and(digits3.back(1)).and(upper.back(4));
    let tax_code = letter_middle
        .and(digits2.back(5))
        .and(upper.back(7))
        .and(digits2.back(8))
        .and(upper.back(10));
    [
        classes.of(Class::At),
        digit.and(plus.back(1)),
        dotted_quad(digit, dot),
        colons(classes.of(Class::Colon)),
        pairs(classes),
        digit.and(separator.back(1)).and(digits3.back(2)).and(parenthesis(classes)),
        six_and_three,
        (upper.and(digits4.back(1))).or(digits4.and(upper.back(4))),
        tax_code,
        iban(classes, digits2),
        long_word(classes),
        encoded(classes),
        digits4.without(digit.back(4)),
        number,
    ]
}

#[inline(always)]
fn dotted_quad<M: Mask>(digit: M, dot: M) -> M {
    let after_dot = digit.and(dot.back(1)).and(digit.back(2));
    let third = after_dot.and(after_dot.back(2).or(after_dot.back(3)).or(after_dot.back(4)));
    after_dot.and(third.back(2).or(third.back(3)).or(third.back(4)))
}

#[inline(always)]
fn colons<M: Mask>(colon: M) -> M {
    let third = next_colon(colon, next_colon(colon, colon));
    next_colon(colon, third).or(colon.and(colon.back(1)))
}

/// Those of `colon` with one of `before` in the five bytes before them.
#[inline(always)]
fn next_colon<M: Mask>(colon: M, before: M) -> M {
    let pair = before.or(before.back(1));
    colon.and(pair.back(1).or(pair.back(3)).or(before.back(5)))
}

#[inline(always)]
fn pairs<M: Mask>(classes: &Classes<M>) -> M {
    let dot = classes.of(Class::Dot);
    let hex = classes.of(Class::Digit).or(classes.of(Class::HexLetter));
    let hex2 = hex.and(hex.back(1));
    let hex4 = hex2.and(hex2.back(2));
    let dotted = dot.and(dot.back(5)).and(hex4.back(1)).and(hex4.back(6));
    let colons = fifth_divider(classes.of(Class::Colon));
    colons.or(fifth_divider(classes.of(Class::Hyphen))).or(dotted)
}

/// Those that come after four others, each three bytes behind the one before.
#[inline(always)]
fn fifth_divider<M: Mask>(divider: M) -> M {
    let two = divider.and(divider.back(3));
    two.and(two.back(6)).and(divider.back(12))
}

#[inline(always)]
fn parenthesis<M: Mask>(classes: &Classes<M>) -> M {
    let close = classes.of(Class::Close).back(5);
    close.or(close.back(1).and(classes.of(Class::Space).back(5)))
}

#[inline(always)]
fn iban<M: Mask>(classes: &Classes<M>, digits2: M) -> M {
    let [letter, space] = [Class::Letter, Class::Space].map(|c| classes.of(c));
    let alphanumeric = letter.or(classes.of(Class::Digit));
    let word = alphanumeric.or(classes.of(Class::WordMark));
    let two = alphanumeric.and(alphanumeric.back(1));
    let four = two.and(two.back(2));
    let eleven = four.and(four.back(4)).and(two.back(8)).and(alphanumeric.back(10));
    // The `n` of an escaped line break is no part of the word after it.
    let is_part = word.without(classes.of(Class::Backslash).back(1));
    let letters = letter.and(letter.back(1));
    let head = digits2.and(letters.back(2)).without(is_part.back(4));
    let grouped = space.and(four.back(1)).and(space.back(5)).and(head.back(6));
    eleven.and(head.back(11)).or(grouped)
}

/// Where words begin: letters and digits behind neither, or behind an escape such as `\n` and `\u0022`,
/// and the capitals of `camelCase`.
#[inline(always)]
pub(crate) fn word_starts<M: Mask>(classes: &Classes<M>) -> M {
    let alphanumeric = classes.of(Class::Letter).or(classes.of(Class::Digit));
    let backslash = classes.of(Class::Backslash);
    let part = alphanumeric.without(backslash.back(1)).without(backslash.back(5));
    let upper = classes.of(Class::Upper);
    let capital = upper.and(classes.of(Class::Letter).without(upper).back(1));
    alphanumeric.without(part.back(1)).or(capital)
}

#[inline(always)]
fn encoded<M: Mask>(classes: &Classes<M>) -> M {
    let digit = classes.of(Class::Digit);
    let hex = digit.or(classes.of(Class::HexLetter));
    let percent = hex.and(digit.back(1)).and(classes.of(Class::Percent).back(2));
    let letter = classes.of(Class::Letter).back(2);
    let backslash = classes.of(Class::Backslash).back(3);
    percent.or(digit.and(digit.back(1)).and(letter).and(backslash))
}

/// Where parts of names begin, as words of a context are told: letters behind no letter, and the
/// capitals of `camelCase`.
#[inline(always)]
pub(crate) fn name_starts<M: Mask>(classes: &Classes<M>) -> M {
    let [letter, upper] = [Class::Letter, Class::Upper].map(|c| classes.of(c));
    let capital = upper.and(letter.without(upper).back(1));
    letter.without(letter.back(1)).or(capital)
}

#[inline(always)]
fn long_word<M: Mask>(classes: &Classes<M>) -> M {
    let alphanumeric = classes.of(Class::Letter).or(classes.of(Class::Digit));
    let two = alphanumeric.and(alphanumeric.back(1));
    let four = two.and(two.back(2));
    let eight = four.and(four.back(4));
    let sixteen = eight.and(eight.back(8));
    let all = sixteen.and(eight.back(16)).and(two.back(24));
    // Names of classes are long, and have no digits.
    let digit = classes.of(Class::Digit);
    let of2 = digit.or(digit.back(1));
    let of4 = of2.or(of2.back(2));
    let of8 = of4.or(of4.back(4));
    let of16 = of8.or(of8.back(8));
    let first = classes.of(Class::LongWordFirst).back(25).without(alphanumeric.back(26));
    let escaped = classes.of(Class::Backslash).back(26);
    all.and(of16.back(10)).and(first.or(escaped))
}
