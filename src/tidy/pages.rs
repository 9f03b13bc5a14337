//! Rules about documents and the Makefile.

use std::path::Path;

use crate::tree::{self, File, finds, holds, lines};

/// The targets of links and pictures in a line of Markdown.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next())
}

/// Where the heading `heading` can be linked to.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.collect::<String>().replace(' ', "-")
}

/// Links of the page at `path` that lead nowhere. `read` gives the text of a file, empty for other things that exist.
fn broken_links(path: &str, text: &str, read: impl Fn(&Path) -> Option<String>) -> Vec<String> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    lines(text, |line| {
        let broken = links(line).filter(|link| !link.contains("://") && !link.starts_with("mailto:")).find(|link| {
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let page = if file.is_empty() { Some(text.to_owned()) } else { read(&folder.join(file)) };
            let has = |page: &str| page.lines().any(|line| line.starts_with('#') && anchor(line) == fragment);
            !page.is_some_and(|page| fragment.is_empty() || page.is_empty() || has(&page))
        });
        broken.map(|link| format!("the link to {link} leads nowhere"))
    })
}

#[test]
fn links_between_documents_lead_somewhere() {
    let read = |path: &Path| {
        let path = tree::root().join(path);
        path.exists().then(|| std::fs::read_to_string(path).unwrap_or_default())
    };
    let pages = tree::files().iter().filter(|file| file.path.ends_with(".md"));
    let broken: Vec<_> = pages
        .flat_map(|page| {
            broken_links(&page.path, &page.text, read).into_iter().map(|link| format!("{}:{link}", page.path))
        })
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");

    let bench = |path: &Path| (path == Path::new("docs/keys.md")).then(|| "# Keys\n## The `key` of all\n".to_owned());
    for (link, is_broken) in [
        ("keys.md", false),
        ("keys.md#the-key-of-all", false),
        ("keys.md#nothing", true),
        ("gone.md", true),
        ("https://example.org/gone.md", false),
        ("#here", false),
        ("#there", true),
    ] {
        let page = format!("# Here\n[a]({link})\n");
        assert_eq!(!broken_links("docs/page.md", &page, bench).is_empty(), is_broken, "{link}");
    }
}

/// Targets of a Makefile that `make help` does not show, or that a file of the same name would hide.
fn unlisted_targets(text: &str) -> Vec<String> {
    let phony: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(".PHONY:")).collect();
    let is_phony = |target: &str| phony.iter().any(|names| names.split_whitespace().any(|name| name == target));
    lines(text, |line| {
        let (target, rest) = line.split_once(':')?;
        let is_target = !target.is_empty() && target.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
        match is_target && !rest.starts_with('=') {
            true if !rest.contains(" ## ") => Some(format!("`{target}` says nothing in `make help`")),
            true if !is_phony(target) => Some(format!("`{target}` is not .PHONY")),
            _ => None,
        }
    })
}

#[test]
fn make_help_lists_every_target() {
    holds(|file| file.path == "Makefile", unlisted_targets);
    finds(
        unlisted_targets,
        &[".PHONY: run\nrun:\n\tcargo run\n", "run: ## Run\n"],
        &[".PHONY: run test\nrun: test ## Run\ntest: ## Test\nNAME := a\n$(FILE):\n\ttouch $@\n"],
    );
}

/// Pages that no other page links to: nobody finds them.
#[test]
fn every_page_is_linked_from_another() {
    let pages: Vec<&File> = tree::files().iter().filter(|file| file.path.ends_with(".md")).collect();
    let linked = |page: &File| {
        let name = page.path.rsplit('/').next().unwrap();
        let names = |link: &str| link.split('#').next().is_some_and(|file| file.rsplit('/').next() == Some(name));
        pages.iter().any(|other| other.path != page.path && other.text.lines().flat_map(links).any(names))
    };
    let lost: Vec<_> = pages.iter().filter(|page| page.path != "README.md" && !linked(page)).collect();
    let lost: Vec<_> = lost.iter().map(|page| &page.path).collect();
    assert!(lost.is_empty(), "nothing leads to {lost:?}");
}
