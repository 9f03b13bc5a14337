//! An error with everything it comes from: on one line for logs, replies and reports, or one by one.
//!
//! Errors say what failed and leave why to their [`source`](Error::source), so that nothing is said twice.

use std::error::Error;

/// `error` and its sources, outermost first, with `: ` between them.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    causes(error).fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What `error` comes from, nearest first, without itself.
pub fn causes(error: &dyn Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

#[cfg(test)]
mod tests {
    use super::chain;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Said {
        said: &'static str,
        #[source]
        cause: Option<Box<Said>>,
    }

    #[test]
    fn an_error_comes_before_its_causes() {
        let said = |said, cause: Option<Said>| Said { said, cause: cause.map(Box::new) };
        assert_eq!(chain(&said("disk full", None)), "disk full");
        let whole = said("recording 7", Some(said("chunk 3", Some(said("disk full", None)))));
        assert_eq!(chain(&whole), "recording 7: chunk 3: disk full");
    }
}
