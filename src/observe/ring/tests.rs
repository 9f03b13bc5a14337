//! Bounds of the lines in memory.

use super::*;
use crate::line::{Level, Value};

fn line(service: &str, message: String, fields: Vec<(String, Value)>) -> Arc<Line> {
    let (time, target) = ("2026-01-01T00:00:00.000Z".to_owned(), "lucid".to_owned());
    Arc::new(Line { time, level: Level::Info, service: service.to_owned(), target, message, fields })
}

#[test]
fn the_last_lines_are_kept_in_order() {
    let rings = Rings::default();
    (0..1000).for_each(|number| rings.push(line("vm", number.to_string(), vec![])));
    let recent = |count| rings.recent("vm", count).into_iter().map(|line| line.message).collect::<Vec<_>>();
    assert_eq!(recent(3), ["997", "998", "999"]);
    assert_eq!(recent(0), Vec::<String>::new());
    assert_eq!((recent(usize::MAX).len(), recent(usize::MAX)[0].as_str()), (LINES_MAX, "700"));
}

#[test]
fn long_lines_are_bounded_by_memory() {
    let rings = Rings::default();
    let fields: Vec<_> = (0..32).map(|index| (format!("field{index}"), Value::Text("x".repeat(4096)))).collect();
    (0..50).for_each(|number| rings.push(line("vm", number.to_string(), fields.clone())));
    let recent = rings.recent("vm", 1000);
    let bytes: usize = recent.iter().map(Line::size_bytes).sum();
    assert!(bytes <= BYTES_MAX && !recent.is_empty(), "{bytes}");
    assert_eq!(recent.last().unwrap().message, "49");
}

#[test]
fn made_up_services_take_no_memory() {
    let rings = Rings::default();
    (0..10_000).for_each(|number| rings.push(line(&format!("s{number}"), String::new(), vec![])));
    assert_eq!(rings.services().len(), SERVICES_MAX);
    rings.push(line("s0", "still taken".to_owned(), vec![]));
    assert_eq!(rings.recent("s0", 1)[0].message, "still taken");
}
