use super::*;

const BYTES: usize = 1000;

fn memory() -> ChunkMemory {
    ChunkMemory::new(BYTES, 3, 2)
}

/// A chunk's way through the memory.
fn used(memory: &ChunkMemory) -> (*const u8, *const u8) {
    let (mut plain, sealed) = (memory.plain(), memory.sealed());
    assert_eq!((plain.len(), plain.capacity()), (0, BYTES));
    plain.resize(BYTES, 7);
    let addresses = (plain.as_ptr(), sealed.as_ptr());
    memory.sealed_done(sealed);
    memory.plain_done(plain);
    addresses
}

#[test]
fn chunks_use_the_same_memory_in_turns() {
    let memory = memory();
    let first = used(&memory);
    assert_eq!(used(&memory), first);
    let sealer = memory.sealer().unwrap();
    memory.sealer_done(sealer);
    assert_eq!((memory.plain.len(), memory.sealed.len(), memory.sealers.len()), (1, 1, 1));
}

#[test]
fn there_is_as_much_as_was_under_way_at_once() {
    let memory = memory();
    for _ in 0..3 {
        let both: Vec<_> = (0..2).map(|_| memory.sealed()).collect();
        both.into_iter().for_each(|sealed| memory.sealed_done(sealed));
    }
    assert_eq!(memory.sealed.len(), 2);
}

#[test]
fn what_is_released_is_gone() {
    let memory = memory();
    used(&memory);
    memory.sealer_done(memory.sealer().unwrap());
    memory.release();
    assert_eq!((memory.plain.len(), memory.sealed.len(), memory.sealers.len()), (0, 0, 0));
}

#[tokio::test]
async fn one_more_than_the_limit_waits() {
    let memory = memory();
    let (first, _second) = (memory.turn().await, memory.turn().await);
    assert_eq!(memory.turns.available_permits(), 0);
    drop(first);
    let _third = memory.turn().await;
    assert_eq!(memory.turns.available_permits(), 0);
}

impl<T> Idle<T> {
    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}
