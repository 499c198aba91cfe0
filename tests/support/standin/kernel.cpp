#include "kernel.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace nsboot_lb::standin {
namespace {

constexpr std::size_t sector_bytes = 512;
constexpr std::size_t code_offset = 0x230;  // behind the header of boot protocol 2.03

// 16-bit code that the boot loader enters at 0x200 (segment of the setup sector, offset 0) through the jump in the
// header.
constexpr auto code = std::to_array<std::uint8_t>({
    0xfa,              //        cli
    0xfc,              //        cld
    0x0e,              //        push cs
    0x1f,              //        pop ds
    0xbe, 0x00, 0x00,  //        mov si, message
    0xac,              // next:  lodsb
    0x84, 0xc0,        //        test al, al
    0x74, 0x12,        //        jz off
    0x88, 0xc3,        //        mov bl, al
    0xba, 0xfd, 0x03,  //        mov dx, 0x3fd    line status of the first serial port
    0xec,              // wait:  in al, dx
    0xa8, 0x20,        //        test al, 0x20    transmitter empty?
    0x74, 0xfb,        //        jz wait
    0x88, 0xd8,        //        mov al, bl
    0xba, 0xf8, 0x03,  //        mov dx, 0x3f8
    0xee,              //        out dx, al
    0xeb, 0xe9,        //        jmp next
    0xba, 0x04, 0x06,  // off:   mov dx, 0x604    ACPI PM1a control of QEMU's PC
    0xb8, 0x00, 0x20,  //        mov ax, 0x2000   sleep enable, type S5
    0xef,              //        out dx, ax
    0xf4,              // halt:  hlt
    0xeb, 0xfd,        //        jmp halt
});
constexpr std::size_t message_operand = 5;  // where the address of the message stands in `code`

constexpr auto make_setup() {
    std::array<std::byte, 2 * sector_bytes> setup{};
    const auto put = [&](std::size_t offset, std::initializer_list<unsigned> bytes) {
        for (const unsigned byte : bytes) setup[offset++] = static_cast<std::byte>(byte);
    };
    // The Linux/x86 boot protocol, https://www.kernel.org/doc/html/latest/arch/x86/boot.html
    put(0x1f1, {1});                          // setup_sects
    put(0x1fe, {0x55, 0xaa});                 // boot_flag
    put(0x200, {0xeb, code_offset - 0x202});  // jump over the header
    put(0x202, {'H', 'd', 'r', 'S', 3, 2});   // header, version 2.03
    put(0x211, {1});                          // loadflags: LOADED_HIGH
    put(0x214, {0, 0, 0x10, 0});              // code32_start
    put(0x22c, {0xff, 0xff, 0xff, 0x37});     // initrd_addr_max

    const auto as_byte = [](auto value) { return static_cast<std::byte>(value); };
    auto* const code_begin = setup.begin() + code_offset;
    auto* const message = std::ranges::transform(code, code_begin, as_byte).out;
    std::ranges::transform(kernel_greeting, message, as_byte);
    const auto message_address = static_cast<unsigned>(message - setup.begin()) - 0x200;
    code_begin[message_operand] = as_byte(message_address & 0xff);
    code_begin[message_operand + 1] = as_byte(message_address >> 8);
    return setup;
}

constexpr auto setup_sectors = make_setup();

}  // namespace

std::span<const std::byte> kernel_setup() {
    return setup_sectors;
}

}  // namespace nsboot_lb::standin
