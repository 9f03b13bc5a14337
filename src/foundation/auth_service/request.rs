//! What can be asked of auth-service, one variant for each operation.

use lucid_kit::Reply;
use lucid_ports::{Account, AccountError, AuditEntry, Claim, Claimed, Login, PasswordChange, Role, Tokens};
use uuid::Uuid;
use zeroize::Zeroizing;

/// What an operation gives, or why it was refused.
pub type Answer<T> = Result<T, AccountError>;

/// A request to auth-service; [`super::AccountsPort`] makes them. `by` is the administrator who does it.
pub enum Request {
    /// Makes the first administrator.
    Claim(Claim, Reply<Answer<Claimed>>),
    /// Checks a password and issues tokens.
    Login(Login, Reply<Answer<Tokens>>),
    /// Exchanges a refresh token.
    Refresh(Zeroizing<String>, Reply<Answer<Tokens>>),
    /// Ends the log-in that an access token belongs to.
    Logout(Uuid, Reply<Answer<()>>),
    /// Lists the accounts.
    Accounts(Reply<Answer<Vec<Account>>>),
    /// Adds an account.
    Add {
        /// Administrator.
        by: String,
        /// Account name.
        name: String,
        /// Password.
        password: Zeroizing<String>,
        /// Role.
        role: Role,
        /// Answer.
        reply: Reply<Answer<()>>,
    },
    /// Removes an account.
    Remove {
        /// Administrator.
        by: String,
        /// Account name.
        name: String,
        /// Answer.
        reply: Reply<Answer<()>>,
    },
    /// Gives an account another role.
    SetRole {
        /// Administrator.
        by: String,
        /// Account name.
        name: String,
        /// New role.
        role: Role,
        /// Answer.
        reply: Reply<Answer<()>>,
    },
    /// Changes one's own password.
    ChangePassword(PasswordChange, Reply<Answer<Tokens>>),
    /// Sets somebody's password.
    ResetPassword {
        /// Administrator.
        by: String,
        /// Account name.
        name: String,
        /// New password.
        password: Zeroizing<String>,
        /// Answer.
        reply: Reply<Answer<()>>,
    },
    /// Checks a password once more.
    Prove {
        /// What it is for.
        action: &'static str,
        /// Name and password.
        login: Login,
        /// Answer.
        reply: Reply<Answer<()>>,
    },
    /// Makes a new recovery key.
    NewRecoveryKey(Login, Reply<Answer<Zeroizing<String>>>),
    /// Reads the newest audit entries.
    Audit(usize, Reply<Answer<Vec<AuditEntry>>>),
    /// Adds an audit entry.
    Note(AuditEntry, Reply<Answer<()>>),
}
