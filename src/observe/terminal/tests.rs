//! Lines as a person sees them.

use super::*;
use crate::line::Value;

fn line() -> Line {
    Line {
        time: "2026-01-02T03:04:05.678Z".to_owned(),
        level: Level::Warn,
        service: "vm".to_owned(),
        target: "lucid_chain::vm".to_owned(),
        message: "out of fuel".to_owned(),
        fields: vec![("used".to_owned(), Value::Unsigned(7)), ("by".to_owned(), Value::Text("a b".to_owned()))],
    }
}

#[test]
fn formats() {
    let plain = Terminal::new(TerminalFormat::Plain).unwrap().format(&line());
    assert_eq!(plain, "03:04:05.678 WARN  vm: out of fuel used=7 by=a b\n");
    let coloured = Terminal::new(TerminalFormat::Coloured).unwrap().format(&line());
    assert!(coloured.contains("\x1b[33mWARN \x1b[0m") && coloured.ends_with('\n'));
    assert!(Terminal::new(TerminalFormat::Off).is_none());
}
