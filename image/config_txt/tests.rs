use super::*;

const GOOD: &str = "# Lucid\nos_check=1\nkernel=kernel_2712.img\n[boot_partition=2]\ncmdline=cmdline-a.txt\n\
                    [boot_partition=3]\ncmdline=cmdline-b.txt\n[all]\ndtparam=pciex1\n";

#[test]
fn what_boots_both_slots_is_accepted() {
    assert_eq!(problems(GOOD), Vec::<String>::new());
    assert_eq!(problems(&GOOD.replace('\n', "\r\n")), Vec::<String>::new());
    assert_eq!(problems(&GOOD.replace("dtparam=pciex1", "auto_initramfs=0")), Vec::<String>::new());
}

#[test]
fn each_fault_is_named() {
    for (from, to, named) in [
        ("os_check=1\n", "", "os_check=1"),
        ("os_check=1", "#os_check=1", "os_check=1"),
        ("os_check=1", "os_check=0", "os_check=1"),
        ("dtparam=pciex1", "os_check=0", "os_check=1"),
        ("[boot_partition=2]", "[boot_partition=4]", "boot_partition=2"),
        ("cmdline-b.txt", "cmdline-a.txt", "cmdline-b.txt"),
        ("[all]\n", "", "[all]"),
        ("dtparam=pciex1", "cmdline=cmdline.txt", "hides"),
        ("dtparam=pciex1", "kernel=kernel8.img", "kernel8.img"),
        ("dtparam=pciex1", "initramfs initrd.img followkernel", "initramfs"),
        ("dtparam=pciex1", "auto_initramfs=1", "auto_initramfs"),
        ("dtparam=pciex1", "os_prefix=a/", "os_prefix"),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        assert!(problems(&text).iter().any(|problem| problem.contains(named)), "{to}: {:?}", problems(&text));
    }
    assert!(problems("").len() >= 3);
}

#[test]
fn an_eeprom_is_carried_only_where_the_firmware_takes_it() {
    let with = |line: &str| eeprom_problem(&GOOD.replace("dtparam=pciex1", line)).is_some();
    let fit = ["dtparam=pciex1", "bootloader_update=1", "#bootloader_update=0"];
    assert_eq!(fit.map(with), [false; 3]);
    let only_on_trial = "bootloader_update=0\n[tryboot]\nbootloader_update=1\n[all]";
    assert_eq!(
        [with("bootloader_update=0"), with("[pi5]\nbootloader_update=0"), with(only_on_trial)],
        [true, true, false]
    );
}
