//! Who may ask the payments plane: the supervisor's user and nobody else, by what the kernel says of the peer
//! (`SO_PEERCRED`, unix(7)).
//!
//! The kernel tells a user id as it is seen from the reader's user namespace, and the plane's unit gives it one in which
//! only root and its own user exist (`PrivateUsers=`). Every other user then looks the same. So on the appliance this
//! check keeps root and the plane's own user out, and tells the remaining users apart no further: that only the
//! supervisor's group may connect is the mode of the socket (`SocketMode=0660`, `SocketGroup=`). Without such a
//! namespace it asks for the one user.

use std::{io, os::unix::net::UnixStream};

use rustix::net::sockopt;

/// As which every user looks that does not exist in a user namespace: the kernel's default of
/// /proc/sys/kernel/overflowuid, which the unit hides.
const OVERFLOW: u32 = 65534;
/// The map of the user namespace of this process (user_namespaces(7)).
const MAP: &str = "/proc/self/uid_map";

/// The one user, as it looks from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowed(u32);

impl Allowed {
    /// The user `uid` of the system.
    pub(super) fn user(uid: u32) -> io::Result<Self> {
        seen_as(uid, &std::fs::read_to_string(MAP)?)
            .map(Self)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("`{MAP}` is no map of users")))
    }

    /// Whether the process at the other end is this user's.
    pub(super) fn is(self, stream: &UnixStream) -> io::Result<bool> {
        Ok(sockopt::socket_peercred(stream)?.uid.as_raw() == self.0)
    }
}

/// As what `uid` of the outer namespace is seen in the inner one of `map`. `None`: that is no map.
fn seen_as(uid: u32, map: &str) -> Option<u32> {
    let mut seen = OVERFLOW;
    for line in map.lines() {
        let numbers = line.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>().ok()?;
        let &[inside, outside, count] = numbers.as_slice() else { return None };
        if uid.checked_sub(outside).is_some_and(|above| above < count) {
            seen = inside.checked_add(uid - outside)?;
        }
    }
    Some(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_seen_through_the_map_of_the_namespace() {
        let initial = "         0          0 4294967295\n";
        assert_eq!(seen_as(65532, initial), Some(65532));
        let private = "         0          0          1\n     65533      65533          1\n";
        assert_eq!(seen_as(65532, private), Some(OVERFLOW));
        assert_eq!(seen_as(0, private), Some(0));
        assert_eq!(seen_as(65533, private), Some(65533));
        assert_eq!(seen_as(65532, "0 65000 1000\n"), Some(532));
        assert_eq!(seen_as(65532, ""), Some(OVERFLOW), "no map was written yet: nobody exists");
    }

    #[test]
    fn what_is_no_map_is_none() {
        for map in ["0 0\n", "0 0 1 2\n", "x 0 1\n", "4294967295 0 4294967295\n", "0 0 99999999999\n"] {
            assert_eq!(seen_as(65532, map), None, "{map}");
        }
    }
}
