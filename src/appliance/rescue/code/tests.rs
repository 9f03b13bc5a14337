use std::sync::mpsc;

use super::*;

/// A door, and what it shows.
fn door() -> (Arc<Door>, mpsc::Receiver<String>) {
    let (shows, shown) = mpsc::channel();
    (Door::open(Arc::new(move |code| shows.send(code.to_owned()).unwrap())), shown)
}

/// The next code, once it is shown: time goes on where nobody else has work to do.
async fn next(shown: &mpsc::Receiver<String>) -> String {
    loop {
        match shown.try_recv() {
            Ok(code) => return code,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

#[tokio::test]
async fn the_code_lets_in_once_however_it_is_typed() {
    let (door, shown) = door();
    let first = next(&shown).await;
    assert!(first.len() == 19 && first.split('-').all(|group| group.len() == 4), "{first}");
    door.try_code(&format!("  {} ", first.to_lowercase().replace('-', " ").replace('0', "o"))).unwrap();
    assert_eq!(door.try_code(&first), Err(NotLetIn::Wrong { tries_left: 9 }), "it is used up");
    let second = next(&shown).await;
    assert_ne!(first, second);
    door.try_code(&second).unwrap();
}

#[tokio::test(start_paused = true)]
async fn ten_wrong_tries_void_it_and_a_minute_later_there_is_another() {
    let (door, shown) = door();
    let first = next(&shown).await;
    let wrong = ["", "0000-0000-0000-0000", &first[..18], &format!("{first}0"), &"9".repeat(10_000), "é\u{0}-\n"];
    for (index, typed) in wrong.iter().cycle().take(9).enumerate() {
        let tries_left = 9 - u32::try_from(index).unwrap();
        assert_eq!(door.try_code(typed), Err(NotLetIn::Wrong { tries_left }), "{typed:.30}");
    }
    assert_eq!(door.try_code("no"), Err(NotLetIn::Void));
    tokio::time::sleep(VOID_FOR / 2).await;
    assert_eq!(door.try_code(&first), Err(NotLetIn::Void), "the right one comes too late");
    assert!(shown.try_recv().is_err(), "the console does not scroll away under a guesser");
    let second = next(&shown).await;
    assert_ne!(first, second);
    assert_eq!(door.try_code(&first), Err(NotLetIn::Wrong { tries_left: 9 }));
    door.try_code(&second).unwrap();
}
