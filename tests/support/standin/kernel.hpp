#pragma once
/// The first kilobyte of a stand-in's kernel image: a Linux boot header and a few instructions that say on the first
/// serial port that the kernel runs, and switch the virtual machine off. So a test can boot a real machine, not only
/// fetch a file. A constant: any thread may read it.
#include <cstddef>
#include <span>
#include <string_view>

namespace nsboot_lb::standin {

/// What the kernel says on the serial port when it runs.
inline constexpr std::string_view kernel_greeting = "NSBoot stand-in kernel runs\r\n";

/// A boot sector and one sector of setup code; what follows in the image is payload that is loaded and never run.
std::span<const std::byte> kernel_setup();

}  // namespace nsboot_lb::standin
