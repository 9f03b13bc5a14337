//! Taking over a data disk that another appliance wrote, with the recovery key of that one.

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenOver {
    /// Whether this appliance signs as the one that wrote the disk, so that its chain goes on. Where the disk holds no
    /// copy of the identity, it can't.
    pub continues_chain: bool,
    /// Whether the identity is another one than this program began with: the disk is used after a restart.
    pub needs_restart: bool,
}

/// Why a data disk was not taken over.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// It opens without, or is not there.
    #[error("the data disk does not wait for a recovery key: nothing was changed")]
    NotDue,
    /// This appliance signs with an identity of its own, and was not told to give it up.
    #[error(
        "this appliance has an identity of its own, and the disk was written with another: nothing was changed; to \
         take the disk over all the same, tick the box"
    )]
    OtherIdentity,
    /// The recovery key does not open it.
    #[error("{0}: nothing was changed")]
    WrongKey(String),
    /// Reading or writing the keys failed.
    #[error("the keys could not be read or written; the same recovery key still opens the disk: try again")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Takes data disks over; behind it stands the vault.
pub trait Takeover: Send + Sync {
    /// Whether the data disk waits for its recovery key. Blocks for a few small files of the disk.
    ///
    /// # Errors
    /// `Failed`: the disk's keys can't be read.
    fn is_due(&self) -> Result<bool, TakeoverError>;

    /// Opens the disk to this appliance. `give_up_identity`: where this appliance has signed with an identity of its
    /// own, the disk's takes its place, and its own is kept aside. The recovery key stays in force, also where this
    /// appliance had issued another. Blocking; may be repeated after a failure.
    ///
    /// # Errors
    /// See [`TakeoverError`].
    fn take_over(&self, recovery_key: &str, give_up_identity: bool) -> Result<TakenOver, TakeoverError>;
}
