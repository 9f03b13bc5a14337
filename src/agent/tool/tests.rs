use super::*;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn status_output_and_input_come_through() {
    let said = run("sh", &["-c", "echo out; echo err >&2; exit 3"], LONG).unwrap();
    assert_eq!((said.status, said.text.as_str()), (3, "out\nerr\n"));
    assert_eq!(run_with_input("cat", &[], "label: gpt\n", LONG).unwrap().text, "label: gpt\n");
    assert_eq!(run("cat", &[], LONG).unwrap().text, "", "standard input is empty");
}

#[test]
fn the_environment_is_ours_alone() {
    let said = run("env", &[], LONG).unwrap();
    let mut names: Vec<_> = said.text.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["LC_ALL", "PATH"]);
}

#[test]
fn endless_output_is_bounded_and_the_end_of_it_is_shown() {
    let said = run("sh", &["-c", "seq 1 100000"], LONG).unwrap();
    assert_eq!(said.text.len() as u64, SAID_BYTES_MAX);
    assert!(said.shown().chars().count() <= SHOWN_CHARS_MAX);
    let said = Said { status: 1, text: "first\n\n  last \u{1b}[1mü\n".to_owned() };
    assert_eq!(said.shown(), "first; last [1mü");
}

#[test]
fn slow_killed_and_missing_programs_are_told_apart() {
    let slow = run("sleep", &["1000"], Duration::from_millis(50));
    assert!(matches!(slow, Err(ToolError::TimedOut { program: "sleep", .. })), "{slow:?}");
    let killed = run("sh", &["-c", "kill -9 $$"], LONG);
    assert!(matches!(killed, Err(ToolError::Killed { signal: 9, .. })), "{killed:?}");
    let missing = run("lucid-no-such-program", &[], LONG);
    assert!(matches!(missing, Err(ToolError::Missing { .. })), "{missing:?}");
}
