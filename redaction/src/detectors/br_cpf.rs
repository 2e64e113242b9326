//! BR_CPF: Brazilian tax numbers of people, with the check digits of the Receita Federal (Instrução
//! Normativa RFB 2.172/2024; the algorithm is modulo 11, twice).

use crate::checked_number::CheckedNumber;
use crate::context::Digits;

/// Finds Brazilian tax numbers of people.
pub(crate) const BR_CPF: CheckedNumber = CheckedNumber {
    entity: "BR_CPF",
    validator: "two check digits modulo 11",
    numbers: &[&[3, 3, 3, 2], &[9, 2], &[11]],
    layouts: &["000.000.000-00", "000000000-00", "00000000000"],
    needs_word: |text| !text.contains(&b'.'),
    words: &["cpf", "cadastro de pessoas", "cadastro de pessoa"],
    is_valid: is_cpf,
    positive: &[
        "24/05/21 17:28:32 WARN ClienteJob: cliente «693.109.802-06» sem e-mail",
        r#"{"cpf":"«20029772753»","numero_cpf":"«74085941160»"}"#,
        "INSERT INTO clientes VALUES (17, 'Ana', '«842.785.349-14»')",
        "nr_cpf=«445928504-59»",
    ],
    negative: &[
        "cpf 693.109.802-07 693.109.803-06 111.111.111-11",
        "rows 20029772753 offset=74085941160, cpfl 44592850459",
        "693.109.802.06 1.693.109.802-06 693,109,802-06 build 693.109.802-06-SNAPSHOT",
    ],
    ..CheckedNumber::NONE
};

fn is_cpf(digits: &Digits) -> bool {
    let check = |weights| u64::from(digits.weighted(weights) * 10 % 11 % 10);
    digits.number(9..10) == check(&[10, 9, 8, 7, 6, 5, 4, 3, 2])
        && digits.number(10..11) == check(&[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])
}

#[cfg(test)]
mod tests {
    use super::is_cpf;
    use crate::context::Digits;

    #[test]
    fn two_check_digits_of_a_hundred_are_right() {
        for body in ["693109802", "200297727", "000000001", "999999998"] {
            let passes = |n: &u32| is_cpf(&Digits::of(format!("{body}{n:02}").as_bytes()));
            assert_eq!((0..100).filter(passes).count(), 1, "{body}");
        }
    }
}
