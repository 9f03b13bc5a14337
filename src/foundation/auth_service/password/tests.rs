//! Rules for names and passwords, and the form in which passwords are kept.

use super::*;

#[test]
fn names() {
    for good in ["a", "0", "zoe", "dev.1", "a-b_c.d", &"x".repeat(32)] {
        assert!(check_name(good).is_ok(), "{good}");
    }
    for bad in ["", ".a", "-a", "_a", "Zoe", "zoé", "a b", "a/b", "a\0", "a\n", "../x", "a:b", &"x".repeat(33), "ａ"]
    {
        assert!(check_name(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn passwords() {
    for good in ["twelve chars", "zwölf Zeichen", &"x".repeat(1024), &"𝄞".repeat(1024), "            "] {
        assert!(check_password("zoe", good).is_ok(), "{good:.20}");
        assert!(is_possible(good));
    }
    for bad in ["", "eleven char", &"é".repeat(11), &"x".repeat(1025), "administrator", "ADMINISTRATOR"] {
        assert!(check_password("administrator", bad).is_err(), "{bad:.20}");
    }
    assert!(!is_possible(&"x".repeat(1025)));
}

#[test]
fn kept_as_argon2id_with_the_stated_cost_and_a_salt_of_its_own() {
    let phc = hash("correct horse battery").unwrap();
    assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
    assert_ne!(phc, hash("correct horse battery").unwrap());
    assert!(verify("correct horse battery", Some(&phc)).unwrap());
    for wrong in ["", "correct horse batterY", "correct horse battery ", "correct horse battery\0"] {
        assert!(!verify(wrong, Some(&phc)).unwrap());
    }
}

#[test]
fn nobody_costs_the_same_and_never_opens() {
    let nobody = PasswordHash::new(NOBODY).unwrap();
    let somebody = hash("correct horse battery").unwrap();
    let somebody = PasswordHash::new(&somebody).unwrap();
    assert_eq!((nobody.algorithm, nobody.version), (somebody.algorithm, somebody.version));
    assert_eq!(Params::try_from(&nobody).unwrap(), Params::try_from(&somebody).unwrap());
    assert_eq!(nobody.salt.unwrap().len(), somebody.salt.unwrap().len());
    assert!(!verify("", None).unwrap());
    assert!(!verify("correct horse battery", None).unwrap());
}

#[test]
fn a_damaged_hash_is_an_error_and_no_match() {
    for damaged in ["", "x", "$argon2id$v=19$m=19456,t=2,p=1$", "$argon2id$v=19$m=1,t=0,p=0$c2FsdHNhbHRzYWx0$aGFzaA"] {
        assert!(!matches!(verify("correct horse battery", Some(damaged)), Ok(true)), "{damaged}");
    }
    assert!(verify("correct horse battery", Some("garbage")).is_err());
}
