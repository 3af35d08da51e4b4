# Lays out what bundler wants beside the unpacked packages: a Gemfile of one's own, with its lock file.
#
# Redmine's Gemfile looks for the database's adapter in the system's folders, and Debian's lock file is a link into them.

require "fileutils"

root = ARGV.fetch(0)
FileUtils.mkdir_p(File.dirname(ENV.fetch("BUNDLE_GEMFILE")))
File.write(ENV.fetch("BUNDLE_GEMFILE"), <<~GEMFILE)
  eval_gemfile "#{root}/usr/share/redmine/Gemfile"
  gem "pg"
  gem "puma"
GEMFILE
require "bundler"
Bundler.setup
