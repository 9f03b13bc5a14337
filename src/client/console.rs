//! The one way to the person in front of the terminal. The binary implements it; tests record it.

/// Where words for people go. Must never be given a secret.
pub trait Console: Send + Sync {
    /// Shows one line; stdout stays free for data.
    fn line(&self, text: &str);

    /// Whether progress bars can be drawn: lines go to a terminal.
    fn is_terminal(&self) -> bool;

    /// Asks a question answered with yes or no. `None`: nobody is there to answer.
    fn confirm(&self, question: &str) -> Option<bool>;
}
