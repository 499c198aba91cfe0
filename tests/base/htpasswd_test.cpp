#include "nsboot_lb/base/htpasswd.hpp"

#include <fstream>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsboot_lb::base {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// All of "correct horse", made by Python's crypt, `openssl passwd` and `openssl dgst`.
constexpr std::string_view bcrypt_2y = "$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";
constexpr std::string_view bcrypt_2b = "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2";
constexpr std::string_view sha256 = "$5$saltstring$vc6YOOogU4kWVvwga8e9zTFgKcy4tb5LaPxIiPJzqEC";
constexpr std::string_view sha256_rounds = "$5$rounds=1000$salt$qOfjCda6YN/JiGzcA4MkoJaIXdhJzf.qd.KJPQZ7TA/";
constexpr std::string_view sha512 =
    "$6$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/";
constexpr std::string_view apr1 = "$apr1$saltsalt$EGVZDNN6gOqijy.tv9axG/";
constexpr std::string_view sha1 = "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=";

Htpasswd users_of(const std::string& text) {
    auto users = Htpasswd::parse(text, "users");
    EXPECT_TRUE(users.has_value()) << users.error();
    return std::move(users).value();
}

std::string error_of(const std::string& text) {
    const auto users = Htpasswd::parse(text, "users");
    return users ? "" : users.error();
}

class HtpasswdScheme : public testing::TestWithParam<std::string_view> {};

TEST_P(HtpasswdScheme, TakesTheRightPasswordAndNoOther) {
    const auto users = users_of("operator:" + std::string(GetParam()) + "\n");
    EXPECT_TRUE(users.verify("operator", "correct horse"));
    EXPECT_FALSE(users.verify("operator", "correct horsf"));
    EXPECT_FALSE(users.verify("operator", "correct hors"));
    EXPECT_FALSE(users.verify("operator", ""));
    EXPECT_FALSE(users.verify("operator", std::string_view("correct horse\0x", 15)));
    EXPECT_FALSE(users.verify("Operator", "correct horse"));
    EXPECT_FALSE(users.verify("", "correct horse"));
}

INSTANTIATE_TEST_SUITE_P(Htpasswd, HtpasswdScheme,
                         testing::Values(bcrypt_2y, bcrypt_2b, sha256, sha256_rounds, sha512, apr1, sha1));

TEST(Htpasswd, Apr1OfShortAndLongPasswordsAndSalts) {
    const auto users = users_of(
        "a:$apr1$ab$eIePjsejfBGR8ITtu2z0U1\n"
        "b:$apr1$abcdefgh$Sb6SgN/zAIdtSlZilbCwJ.\n");
    EXPECT_TRUE(users.verify("a", "x"));
    EXPECT_TRUE(users.verify("b", "a much longer password than sixteen octets"));
}

TEST(Htpasswd, KeepsUsersApart) {
    const auto users = users_of("a:" + std::string(sha1) + "\nb:$apr1$ab$eIePjsejfBGR8ITtu2z0U1\n");
    EXPECT_EQ(users.size(), 2U);
    EXPECT_TRUE(users.verify("a", "correct horse"));
    EXPECT_FALSE(users.verify("b", "correct horse"));
    EXPECT_TRUE(users.verify("b", "x"));
}

TEST(Htpasswd, SkipsCommentsEmptyLinesAndFurtherFields) {
    const auto users = users_of("# people\r\n\r\na:" + std::string(sha1) + ":Alice:x\r\n\n#b:c\n");
    EXPECT_EQ(users.size(), 1U);
    EXPECT_TRUE(users.verify("a", "correct horse"));
}

TEST(Htpasswd, WithoutUsersRefusesEverybody) {
    const auto users = users_of("");
    EXPECT_EQ(users.size(), 0U);
    EXPECT_FALSE(users.verify("a", "b"));
    EXPECT_FALSE(users.remembers("a", "b"));
}

TEST(Htpasswd, RemembersWhatWasRightAndNothingElse) {
    const auto users = users_of("a:" + std::string(bcrypt_2y) + "\nb:" + std::string(bcrypt_2y) + "\n");
    EXPECT_FALSE(users.remembers("a", "correct horse"));
    EXPECT_FALSE(users.verify("a", "wrong"));
    EXPECT_FALSE(users.remembers("a", "wrong"));
    EXPECT_FALSE(users.verify("nobody", "correct horse"));
    EXPECT_FALSE(users.remembers("nobody", "correct horse"));
    EXPECT_TRUE(users.verify("a", "correct horse"));
    EXPECT_TRUE(users.remembers("a", "correct horse"));
    EXPECT_FALSE(users.remembers("a", "wrong"));
    EXPECT_FALSE(users.remembers("b", "correct horse"));
}

TEST(Htpasswd, ReadAnewRemembersUsersWhoseLineIsTheSame) {
    const std::string same = "same:" + std::string(bcrypt_2y) + "\n";
    const auto first = users_of(same + "changed:" + std::string(bcrypt_2y) + "\nremoved:" + std::string(sha1) + "\n");
    for (const auto* user : {"same", "changed", "removed"}) ASSERT_TRUE(first.verify(user, "correct horse"));

    auto second = Htpasswd::parse("# moved\nchanged:" + std::string(bcrypt_2b) + "\n" + same, "users", &first);
    ASSERT_TRUE(second);
    EXPECT_TRUE(second->remembers("same", "correct horse"));
    EXPECT_FALSE(second->remembers("same", "wrong"));
    EXPECT_FALSE(second->remembers("changed", "correct horse"));
    EXPECT_FALSE(second->remembers("removed", "correct horse"));
    EXPECT_FALSE(second->verify("removed", "correct horse"));

    const auto third = Htpasswd::parse(same, "users", &*second);
    ASSERT_TRUE(third);
    EXPECT_TRUE(third->remembers("same", "correct horse"));
}

TEST(Htpasswd, WhatAnEarlierReadingFindsRightTheLaterOneKnows) {
    const auto first = users_of("a:" + std::string(sha1) + "\n");
    const auto second = Htpasswd::parse("a:" + std::string(sha1) + "\n", "users", &first);
    ASSERT_TRUE(second);
    ASSERT_TRUE(first.verify("a", "correct horse"));
    EXPECT_TRUE(second->remembers("a", "correct horse"));
}

TEST(Htpasswd, FromSeveralThreadsAtOnce) {
    const auto users = users_of("a:" + std::string(bcrypt_2y) + "\nb:" + std::string(sha1) + "\n");
    std::vector<int> right(4);
    {
        std::vector<std::jthread> threads;
        for (auto& count : right) {
            threads.emplace_back([&users, &count] {
                for (int i = 0; i < 50; ++i) {
                    count += users.verify("a", "correct horse") ? 1 : 0;
                    count += users.verify("b", "correct horse") ? 1 : 0;
                    count += users.remembers("b", "wrong") ? 1 : 0;
                }
            });
        }
    }
    EXPECT_EQ(right, std::vector<int>(4, 100));
}

TEST(Htpasswd, RefusesALongPasswordWithoutALook) {
    const auto users = users_of("a:" + std::string(sha1));
    EXPECT_FALSE(users.verify("a", std::string(Htpasswd::max_password_bytes + 1, 'x')));
    EXPECT_FALSE(users.remembers("a", std::string(Htpasswd::max_password_bytes + 1, 'x')));
}

TEST(Htpasswd, WhatIsWrongIsSaidWithItsLineAndWithoutThePassword) {
    const auto plain = error_of("#\na:" + std::string(sha1) + "\nb:hunter2\n");
    EXPECT_THAT(plain, StartsWith("users:3: user \"b\" has a password that is plain text"));
    EXPECT_THAT(plain, Not(HasSubstr("hunter2")));
    EXPECT_THAT(error_of("hunter2"), testing::AllOf(StartsWith("users:1: not of the form"), Not(HasSubstr("hunter2"))));
    EXPECT_THAT(error_of(":x"), HasSubstr("not of the form"));
    EXPECT_THAT(error_of("a:"), HasSubstr("plain text"));
    EXPECT_THAT(error_of("a\x1b:" + std::string(sha1)), HasSubstr("control character"));
    EXPECT_THAT(error_of("a:" + std::string(sha1) + "\na:" + std::string(apr1)),
                StartsWith("users:2: user \"a\" is there twice"));
    EXPECT_THAT(error_of("a:rqXexS6ZhobKA"), HasSubstr("unknown way"));  // DES
    EXPECT_THAT(error_of("a:$1$salt$uXdHrfCd.CnHQasvSgrAO0"), HasSubstr("unknown way"));
}

TEST(Htpasswd, RefusesHashesThatNothingCouldMatch) {
    for (const std::string_view hash : {"$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6",
                                        "$2y$03$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
                                        "$2y$4$$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
                                        "$2y$04$abcdefghijklmnopqrstuu$ydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
                                        "$5$",
                                        "$5$saltstring",
                                        "$5$saltstring$short",
                                        "$5$rounds=",
                                        "$5$rounds=999$salt$qOfjCda6YN/JiGzcA4MkoJaIXdhJzf.qd.KJPQZ7TA/",
                                        "$5$rounds=01000$salt$qOfjCda6YN/JiGzcA4MkoJaIXdhJzf.qd.KJPQZ7TA/",
                                        "$5$rounds=1000",
                                        "$5$rounds=1000x$a$b",
                                        "$5$seventeenlettersa$vc6YOOogU4kWVvwga8e9zTFgKcy4tb5LaPxIiPJzqEC",
                                        "$6$saltstring$vc6YOOogU4kWVvwga8e9zTFgKcy4tb5LaPxIiPJzqEC",
                                        "$apr1$",
                                        "$apr1$ninechars$EGVZDNN6gOqijy.tv9axG/",
                                        "$apr1$saltsalt$EGVZDNN6gOqijy.tv9axG",
                                        "{SHA}",
                                        "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A",
                                        "{SHA}L55TUjtiq8FBorTWAZ0jy6g12.A="}) {
        EXPECT_THAT(error_of("a:" + std::string(hash)), HasSubstr("malformed")) << hash;
    }
}

TEST(Htpasswd, RefusesHashesThatTakeTooLong) {
    EXPECT_THAT(error_of("a:$2y$15$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"),
                HasSubstr("bcrypt cost above 14"));
    EXPECT_THAT(error_of("a:$5$rounds=1000001$salt$qOfjCda6YN/JiGzcA4MkoJaIXdhJzf.qd.KJPQZ7TA/"), HasSubstr("rounds"));
}

class HtpasswdFile : public testing::Test {
  protected:
    HtpasswdFile() {
        std::string name = (std::filesystem::temp_directory_path() / "htpasswd-XXXXXX").string();
        folder_ = ::mkdtemp(name.data());
    }
    ~HtpasswdFile() override { std::filesystem::remove_all(folder_); }
    std::filesystem::path folder_;
};

TEST_F(HtpasswdFile, IsRead) {
    const auto file = folder_ / "users";
    std::ofstream(file) << "a:" << sha1 << "\n";
    const auto users = Htpasswd::load(file);
    ASSERT_TRUE(users.has_value()) << users.error();
    EXPECT_TRUE(users->verify("a", "correct horse"));
}

TEST_F(HtpasswdFile, ThatCannotBeReadIsNamed) {
    EXPECT_EQ(Htpasswd::load(folder_ / "none").error(), (folder_ / "none").string() + ": No such file or directory");
    EXPECT_EQ(Htpasswd::load(folder_).error(), folder_.string() + ": Is a directory");
    const auto large = folder_ / "large";
    std::ofstream(large) << std::string(Htpasswd::max_file_bytes + 1, '#');
    EXPECT_EQ(Htpasswd::load(large).error(), large.string() + ": larger than 1 MiB");
}

}  // namespace
}  // namespace nsboot_lb::base
