//! Whether a program runs on the Pi without anything else.

use object::elf;
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};

/// Why `program` can't be the appliance's binary; None if it is a static aarch64 executable.
pub(crate) fn problem(program: &[u8]) -> Option<&'static str> {
    match check(program) {
        Ok(problem) => problem,
        Err(_) => Some("is damaged, or no ELF program of 64 bits"),
    }
}

fn check(program: &[u8]) -> object::Result<Option<&'static str>> {
    let header = elf::FileHeader64::<object::Endianness>::parse(program)?;
    let endian = header.endian()?;
    if header.e_machine(endian) != elf::EM_AARCH64 || endian != object::Endianness::Little {
        return Ok(Some("is not for aarch64"));
    }
    if ![elf::ET_EXEC, elf::ET_DYN].contains(&header.e_type(endian)) {
        return Ok(Some("is no executable"));
    }
    let segments = header.program_headers(endian, program)?;
    let has = |kind| segments.iter().any(|segment| segment.p_type(endian) == kind);
    if !has(elf::PT_LOAD) {
        return Ok(Some("is no executable"));
    }
    let mut needs_library = has(elf::PT_INTERP);
    for segment in segments {
        // A position-independent static program has this table, too, but needs nothing.
        for entry in segment.dynamic(endian, program)?.unwrap_or_default() {
            needs_library |= entry.d_tag(endian) == elf::DT_NEEDED;
        }
    }
    Ok(needs_library.then_some("is not static: it needs libraries of a system it will not find"))
}

#[cfg(test)]
mod tests;
