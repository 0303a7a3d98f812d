# Computes pi digit by digit (the spigot of Rabinowitz and Wagon), for as long as it takes to look at it.
use strict;
$| = 1;
my $wanted = 64;
my $length = int($wanted * 10 / 3) + 2;
my @remainders = (2) x $length;
my ($printed, $nines, $held) = (0, 0, undef);

sub show {
  my ($digit) = @_;
  print $digit, $printed == 0 ? "." : "";
  exit if ++$printed == $wanted;
  select undef, undef, undef, 0.04;
}

while (1) {
  my $carry = 0;
  for my $i (reverse 1 .. $length - 1) {
    my $sum = $remainders[$i] * 10 + $carry;
    $remainders[$i] = $sum % (2 * $i + 1);
    $carry = int($sum / (2 * $i + 1)) * $i;
  }
  my $sum = $remainders[0] * 10 + $carry;
  $remainders[0] = $sum % 10;
  my $digit = int($sum / 10);
  if ($digit == 9) { $nines++; next }
  # A ten is a carry into the digits that were held back.
  my $over = $digit == 10;
  show($held + $over) if defined $held;
  show($over ? 0 : 9) for 1 .. $nines;
  ($held, $nines) = ($over ? 0 : $digit, 0);
}
