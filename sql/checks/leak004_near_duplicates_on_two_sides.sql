-- check: LEAK004 error cohort
-- question: copies of one exposure stand on two sides, so the test set holds training pictures
-- one row: one pair of near-duplicates on different sides
-- needs: near_duplicates
-- example: xray-mining check age_balanced
select
    near_duplicates.image_key_a,
    near_duplicates.image_key_b
from near_duplicates
inner join members as member_a on near_duplicates.image_key_a = member_a.image_key
inner join members as member_b on near_duplicates.image_key_b = member_b.image_key
where (member_a.fold, member_a.split) != (member_b.fold, member_b.split)
order by near_duplicates.image_key_a, near_duplicates.image_key_b
