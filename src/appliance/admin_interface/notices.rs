//! What a page says after a form led back to it. The word in the path is looked up, never shown.

/// Words, and what they stand for.
const NOTICES: &[(&str, &str)] = &[
    ("uploaded", "The recording is complete. Its anchor goes into one of the next blocks."),
    ("deleted", "The recording was shredded: its key is destroyed."),
    ("restarted", "The service is being restarted."),
    ("level", "The log level was changed. It lasts until the appliance restarts."),
    ("added", "The account was added."),
    ("removed", "The account was removed, and its log-ins have ended."),
    ("role", "The role was changed. The account has to log in again."),
    ("password", "The password was changed. All other log-ins of the account have ended."),
    ("validating", "The chain is being validated."),
    (
        "adopted",
        "The agent took the disk on. It may be checked or formatted first: reload the page to see how it goes.",
    ),
    ("detached", "The data disk is being unmounted. Unplug it once it is shown as detached."),
    ("mounted", "The data disk is being mounted."),
    ("taken-over", "The data disk is this appliance's now, and is opened within a minute."),
    (
        "taken-over-restarting",
        "The data disk is this appliance's now. The appliance restarts, to sign as the one that wrote the disk. This \
         page answers again in about a minute.",
    ),
    (
        "taken-over-restart",
        "The data disk is this appliance's now, and waits: restart the appliance, so that it signs as the one that \
         wrote the disk.",
    ),
    (
        "taken-over-without-chain",
        "The data disk is this appliance's now. It holds no copy of what the former one signed with, so its \
         recordings can be read, but its chain can't be continued.",
    ),
    ("restarting", "The appliance restarts now. This page answers again in about a minute."),
    ("update-sent", "The bundle is written and read back. It is not installed yet."),
    (
        "update-installing",
        "The restart into the new release, on trial, was ordered. This page answers again a minute or two after it, \
         and says below what became of the trial.",
    ),
    ("update-waiting", "It is installed when its time has come. What it waits for is said below."),
    (
        "update-returning",
        "The restart into the other slot, on trial, was ordered. This page answers again a minute or two after it, \
         and says below what became of the trial.",
    ),
    ("update-testing", "Two restarts were ordered. This page says below, after them, what was seen."),
    ("update-eeprom", "Two restarts were ordered. Leave the power on. This page says below what became of it."),
    ("update-checking", "The channel is being asked for new releases."),
    ("update-pulling", "The bundle is being fetched."),
    ("update-discarded", "What was sent was given up."),
    ("off", "The appliance switches itself off now."),
    ("logged-out", "You are logged out."),
    ("saved", "The appliance is yours. Welcome."),
];

/// What the word of a page's address stands for, if it is one of ours.
pub(super) fn after(done: Option<&str>) -> Option<&'static str> {
    NOTICES.iter().find(|(word, _)| Some(*word) == done).map(|(_, text)| *text)
}
