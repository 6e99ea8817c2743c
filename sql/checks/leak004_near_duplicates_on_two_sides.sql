-- check: LEAK004 error cohort
-- question: copies of one exposure are in two splits, so the test set contains training pictures
-- one row: one exposure with the lowest and highest key of the members that show it
-- needs: near_duplicates
-- example: xray-mining check age_balanced
-- note: by group, not by pair: two copies may be similar only to a third one, which is not a member
select
    min(members.image_key) as image_key,
    max(members.image_key) as other_image_key
from near_duplicate_groups
inner join members on near_duplicate_groups.image_key = members.image_key
group by near_duplicate_groups.group_key
having min(members.fold) != max(members.fold) or min(members.split) != max(members.split)
order by image_key
