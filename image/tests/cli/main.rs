//! Builds images of a small root tree and bundles of them with the real tools, and looks at them with other ones.
//! Nothing is booted here.

#[cfg(test)]
mod bundle;
#[cfg(test)]
mod channel;
#[cfg(test)]
mod content;
#[cfg(test)]
mod eeprom;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod provision;
#[cfg(test)]
mod refuse;
#[cfg(test)]
mod reproducible;
