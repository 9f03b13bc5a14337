//! Rules about Rust that need its syntax.

use syn::{Attribute, Macro, Meta, spanned::Spanned, visit::Visit};

use crate::tree::{File, files, finds, holds};

/// Who may wait for the first of several things, and why. Everyone else uses what these offer: losing a race must not
/// lose what was begun, and that is easy to get wrong.
const SELECTING: [(&str, &str); 2] = [
    ("src/kit/ctx.rs", "the one loop of every service"),
    ("src/kit/supervise.rs", "stop, stuck and done of an incarnation"),
];

/// Who may use unsafe code, and for what that has no safe form anywhere.
const UNSAFE: [(&str, &str); 2] = [
    ("src/agent/smart/command.rs", "the ioctl that reads the health page of an NVMe drive"),
    ("src/agent/update/mailbox.rs", "the ioctl of the firmware's mailbox"),
];

/// Longest function, from its name to its brace: two screens.
pub(crate) const FUNCTION_MAX: usize = 70;

fn parse(text: &str) -> Result<syn::File, String> {
    syn::parse_file(text).map_err(|error| format!("{}: {error}", error.span().start().line))
}

/// What `visitor` finds in `text`; a text that is no Rust is a finding, too.
fn visit(text: &str, mut visitor: impl for<'ast> Visit<'ast> + Into<Vec<String>>) -> Vec<String> {
    match parse(text) {
        Ok(file) => {
            visitor.visit_file(&file);
            visitor.into()
        }
        Err(error) => vec![error],
    }
}

fn undocumented(text: &str) -> Vec<String> {
    let is_doc = |attribute: &Attribute| {
        let outer = matches!(attribute.style, syn::AttrStyle::Outer);
        !outer && attribute.path().is_ident("doc")
    };
    match parse(text) {
        Ok(file) if file.attrs.iter().any(is_doc) => vec![],
        Ok(_) => vec!["1: does not begin with `//!`: what it owns, promises and must never do".to_owned()],
        Err(error) => vec![error],
    }
}

#[test]
fn every_file_says_what_it_is() {
    // A `tests.rs` stands beside the file that it tests, which says what it is.
    holds(|file| file.is_rust() && !file.path.ends_with("/tests.rs"), undocumented);
    finds(undocumented, &["fn f() {}", "/// F.\nfn f() {}", "// F.\n"], &["//! F.\nfn f() {}\n"]);
}

/// Attributes that silence a lint without a reason, or a test without an end.
#[derive(Default)]
struct Silencers(Vec<String>);

impl From<Silencers> for Vec<String> {
    fn from(silencers: Silencers) -> Self {
        silencers.0
    }
}

impl Visit<'_> for Silencers {
    fn visit_attribute(&mut self, attribute: &Attribute) {
        let line = attribute.span().start().line;
        let reason = match &attribute.meta {
            Meta::List(list) => list.tokens.to_string().contains("reason ="),
            _ => false,
        };
        if attribute.path().is_ident("allow") {
            self.0.push(format!("{line}: `allow` hides what may no longer be there: use `expect` with a reason"));
        } else if attribute.path().is_ident("expect") && !reason {
            self.0.push(format!("{line}: `expect` without a reason"));
        } else if attribute.path().is_ident("ignore") {
            self.0.push(format!("{line}: a test that nobody runs: assert what is, or remove it"));
        }
    }
}

fn silencers(text: &str) -> Vec<String> {
    visit(text, Silencers::default())
}

#[test]
fn lints_are_silenced_with_a_reason_and_tests_are_run() {
    holds(File::is_rust, silencers);
    finds(
        silencers,
        &["#[allow(dead_code)] fn f() {}", "#[expect(clippy::panic)] fn f() {}", "#[test] #[ignore] fn f() {}"],
        &["#[expect(clippy::panic, reason = \"why\")] fn f() {}", "#[test] fn f() {}"],
    );
}

/// Uses of unsafe code, or leave for it.
fn unsafe_code(text: &str) -> Vec<String> {
    #[derive(Default)]
    struct Unsafe(Vec<String>);
    impl From<Unsafe> for Vec<String> {
        fn from(found: Unsafe) -> Self {
            found.0
        }
    }
    impl<'ast> Visit<'ast> for Unsafe {
        fn visit_expr_unsafe(&mut self, expression: &'ast syn::ExprUnsafe) {
            self.0.push(format!("{}: an unsafe block", expression.span().start().line));
        }
        fn visit_signature(&mut self, signature: &'ast syn::Signature) {
            if signature.unsafety.is_some() {
                self.0.push(format!("{}: an unsafe function", signature.span().start().line));
            }
            syn::visit::visit_signature(self, signature);
        }
        fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
            if item.unsafety.is_some() {
                self.0.push(format!("{}: an unsafe implementation", item.span().start().line));
            }
            syn::visit::visit_item_impl(self, item);
        }
    }
    visit(text, Unsafe::default())
}

#[test]
fn only_the_listed_files_use_unsafe_code() {
    let listed = |file: &File| UNSAFE.iter().any(|(path, _)| file.path == *path);
    holds(|file| file.is_rust() && !listed(file), unsafe_code);
    for (path, reason) in UNSAFE {
        let file = files().iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{path} is gone"));
        assert!(!unsafe_code(&file.text).is_empty(), "{path} is safe now ({reason}): take it off the list");
    }
    finds(
        unsafe_code,
        &["fn f() { unsafe { g() } }", "unsafe fn f() {}", "unsafe impl Send for X {}"],
        &["fn f() { let text = \"unsafe\"; }"],
    );
}

/// Calls of macros named `wanted`.
fn macros(text: &str, wanted: &[&str]) -> Vec<String> {
    struct Macros<'a>(&'a [&'a str], Vec<String>);
    impl From<Macros<'_>> for Vec<String> {
        fn from(found: Macros<'_>) -> Self {
            found.1
        }
    }
    impl<'ast> Visit<'ast> for Macros<'_> {
        fn visit_macro(&mut self, call: &'ast Macro) {
            let name = call.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
            if self.0.contains(&name.as_str()) {
                self.1.push(format!("{}: {name}!", call.span().start().line));
            }
        }
    }
    visit(text, Macros(wanted, vec![]))
}

fn selects(text: &str) -> Vec<String> {
    macros(text, &["select", "select_biased"])
}

#[test]
fn only_the_listed_files_select() {
    let listed = |file: &File| SELECTING.iter().any(|(path, _)| file.path == *path);
    holds(|file| file.is_rust() && !listed(file), selects);
    for (path, reason) in SELECTING {
        let file = files().iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{path} is gone"));
        assert!(!selects(&file.text).is_empty(), "{path} selects no more ({reason}): take it off the list");
    }
    finds(selects, &["async fn f() { tokio::select! { _ = a => {} } }"], &["fn f() { select(a, b); }"]);
}

/// Every function with its number of lines, from its signature to its closing brace.
pub(crate) fn functions(text: &str) -> Vec<(String, usize, usize)> {
    #[derive(Default)]
    struct Functions(Vec<(String, usize, usize)>);
    impl Functions {
        fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
            let (begin, end) = (signature.span().start().line, block.span().end().line);
            self.0.push((signature.ident.to_string(), begin, end - begin + 1));
        }
    }
    impl<'ast> Visit<'ast> for Functions {
        fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
            self.add(&item.sig, &item.block);
            syn::visit::visit_item_fn(self, item);
        }
        fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
            self.add(&item.sig, &item.block);
            syn::visit::visit_impl_item_fn(self, item);
        }
        fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
            if let Some(block) = &item.default {
                self.add(&item.sig, block);
            }
        }
    }
    let mut found = Functions::default();
    if let Ok(file) = parse(text) {
        found.visit_file(&file);
    }
    found.0
}

fn long_functions(text: &str) -> Vec<String> {
    let long = functions(text).into_iter().filter(|(_, _, length)| *length > FUNCTION_MAX);
    long.map(|(name, line, length)| format!("{line}: {name} has {length} lines, at most {FUNCTION_MAX}")).collect()
}

#[test]
fn functions_fit_on_two_screens() {
    holds(File::is_rust, long_functions);
    let with = |lines: usize| format!("fn f() {{\n{}}}", "    g();\n".repeat(lines - 2));
    let method = format!("impl X {{ {} }}", with(FUNCTION_MAX + 1));
    finds(long_functions, &[&with(FUNCTION_MAX + 1), &method], &[&with(FUNCTION_MAX)]);
}
