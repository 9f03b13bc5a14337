//! The settings of updates, parsed once.

use std::fmt;
use std::str::FromStr;

use jiff::{Timestamp, tz::TimeZone};
use reqwest::Url;
use serde::{Serialize, Serializer};

/// Minutes of a day.
const DAY_MIN: u32 = 24 * 60;

/// Longest address in bytes.
pub(crate) const URL_BYTES_MAX: usize = 1024;

/// Section `[update]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Where the channel's file is.
    pub channel: Option<UpdateUrl>,
    /// Whether releases are fetched and installed without anybody's word.
    pub automatic: bool,
    /// When the box may restart for an installation.
    pub window: Option<Window>,
    /// Where the window's clock hangs.
    pub zone: Zone,
    /// The only version that is taken without anybody's word.
    pub pinned: Option<String>,
    /// Hours between two looks at the channel.
    pub check_h: u64,
    /// Seconds that a new release has to be fit before it is kept.
    pub soak_s: u64,
}

impl Default for Settings {
    /// As the configuration has them where nothing is set.
    fn default() -> Self {
        Self {
            channel: None,
            automatic: false,
            window: None,
            zone: Zone::default(),
            pinned: None,
            check_h: 24,
            soak_s: 180,
        }
    }
}

/// Where a bundle or a channel's file is fetched from: an address of `http` or `https` without a password.
///
/// `http` will do, because the agent checks the signature of all that comes from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateUrl(Url);

/// The text is no address that is fetched from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an address that can be fetched from: it begins with `http://` or `https://`, names a host, holds neither \
         user nor password, and has at most {URL_BYTES_MAX} bytes"
)]
pub struct NoUpdateUrl;

impl UpdateUrl {
    /// The address.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for UpdateUrl {
    type Err = NoUpdateUrl;

    fn from_str(text: &str) -> Result<Self, NoUpdateUrl> {
        let url = Url::parse(text).map_err(|_| NoUpdateUrl)?;
        let is_fetched_from = matches!(url.scheme(), "http" | "https") && url.has_host();
        let is_open = url.username().is_empty() && url.password().is_none();
        if !is_fetched_from || !is_open || text.len() > URL_BYTES_MAX {
            return Err(NoUpdateUrl);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for UpdateUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str())
    }
}

impl Serialize for UpdateUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A part of each day, to the minute: `02:00-05:00`. One that ends before it begins goes over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    from_min: u32,
    to_min: u32,
}

/// The text is no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a part of the day: write it as 02:00-05:00, with two different times")]
pub struct NoWindow;

impl Window {
    /// Minutes until it ends, at `unix_ms` in `zone`; nothing while it is not open. On the day on which clocks are set
    /// it may be an hour shorter or longer.
    pub(crate) fn left_min(self, zone: &Zone, unix_ms: u64) -> Option<u32> {
        let now_min = zone.minute_of_day(unix_ms);
        let since = |min: u32| (min + DAY_MIN - self.from_min) % DAY_MIN;
        (since(now_min) < since(self.to_min)).then(|| since(self.to_min) - since(now_min))
    }
}

/// A time zone: where clocks on the wall go by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    /// UTC.
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Zone {
    /// That of this program: of the variable `TZ`, which an appliance has from its provisioning, else of the machine.
    /// Where neither says, UTC, which then is what everybody is shown.
    #[must_use]
    pub fn of_this_program() -> Self {
        Self(TimeZone::try_system().unwrap_or_else(|error| {
            tracing::warn!(%error, "the time zone is not known: windows are in UTC");
            TimeZone::UTC
        }))
    }

    fn minute_of_day(&self, unix_ms: u64) -> u32 {
        // Past the year 9999 no zone has rules.
        let moment = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let offset_s = moment.map_or(0, |moment| self.0.to_offset(moment).seconds());
        let day_s = i64::from(DAY_MIN) * 60;
        let utc_s = i64::try_from(unix_ms / 1000 % (u64::from(DAY_MIN) * 60)).expect("a remainder fits");
        u32::try_from((utc_s + i64::from(offset_s)).rem_euclid(day_s) / 60).expect("a remainder fits")
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.iana_name().unwrap_or("local time"))
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Window {
    type Err = NoWindow;

    fn from_str(text: &str) -> Result<Self, NoWindow> {
        let (from, to) = text.split_once('-').ok_or(NoWindow)?;
        let (from_min, to_min) = (minute(from)?, minute(to)?);
        if from_min == to_min { Err(NoWindow) } else { Ok(Self { from_min, to_min }) }
    }
}

/// `HH:MM`, both digits always.
fn minute(text: &str) -> Result<u32, NoWindow> {
    let (hour, minute) = text.split_once(':').ok_or(NoWindow)?;
    let number = |text: &str, below: u32| -> Result<u32, NoWindow> {
        let is_two_digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_two_digits { text.parse().map_err(|_| NoWindow)? } else { return Err(NoWindow) };
        if number < below { Ok(number) } else { Err(NoWindow) }
    };
    Ok(number(hour, 24)? * 60 + number(minute, 60)?)
}

impl fmt::Display for Window {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from_min, self.to_min);
        write!(formatter, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
