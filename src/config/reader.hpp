#pragma once
/// What reading a tree into values needs beside the tree: the place for problems, the key being read, and whether the
/// file system may be asked. One per load; used by one thread.
#include <string>
#include <string_view>
#include <unordered_set>

#include "node.hpp"
#include "nsboot_lb/base/units.hpp"
#include "nsboot_lb/config/load.hpp"
#include "problems.hpp"

namespace nsboot_lb::config {

class Reader {
  public:
    Reader(Problems& problems, const LoadOptions& options) : problems_(problems), options_(options) {}

    /// Problems of the value of the key being read; the key is named in front.
    void error(const Node& at, std::string what, std::string hint = {});
    void error(const Node& at, const base::UnitError& error);
    /// Whether the node is of this kind, complaining if not: "expected `wanted`, found a list".
    bool expect(const Node& node, Node::Kind kind, std::string_view wanted);

    Problems& problems() { return problems_; }
    Position position(const Node& node) const { return problems_.position(node.mark); }
    bool may_touch_files() const { return options_.touch_files; }
    /// A path that is relative is so to the file it is written in, wherever the daemon is started.
    std::string resolve(const Node& at, const std::string& path) const;

    /// Maps with an error somewhere in them: what depends on the whole of one is not checked, as it would mislead.
    void mark_broken(const Node& node) { broken_.insert(&node); }
    bool is_broken(const Node& node) const { return broken_.contains(&node); }

    /// Names the key being read while it lives.
    class InKey {
      public:
        InKey(Reader& reader, std::string_view key) : reader_(reader), outer_(reader.key_) { reader_.key_ = key; }
        ~InKey() { reader_.key_ = outer_; }
        InKey(const InKey&) = delete;
        InKey& operator=(const InKey&) = delete;

      private:
        Reader& reader_;
        std::string_view outer_;
    };

  private:
    Problems& problems_;
    const LoadOptions& options_;
    std::string_view key_;
    std::unordered_set<const Node*> broken_;
};

}  // namespace nsboot_lb::config
