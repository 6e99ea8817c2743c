-- question: how it is known which of a patient's images is the later one
-- one row: one patient of the cohort with several images to choose from
-- example: shown by `xray-mining cohort age_balanced`
-- note: for a patient with several members these are compared; for one with a single member, that
-- member with the image before it (or, for the earliest, after it) among the frontal images with
-- an existing file
with
chosen as (
    select
        patient_key,
        count(*) as members
    from members
    group by patient_key
),

candidates as (
    select
        image_key,
        true as is_member
    from members
    union
    select
        eligible.image_key,
        false as is_member
    from eligible
    inner join chosen on eligible.patient_key = chosen.patient_key
    anti join members on eligible.image_key = members.image_key
    where chosen.members = 1 and eligible.view_position in ('PA', 'AP')
),

-- with the number of candidates before each of the patient's images
numbered as (
    select
        images.patient_key,
        chosen.members,
        candidates.image_key is not null as is_candidate,
        candidates.is_member,
        count(candidates.image_key) over earlier as place,
        list_position(
            ['unknown', 'day', 'follow_up', 'age', 'same_study', 'nothing'], images.sequence_by
        ) as told_by
    from images
    inner join chosen on images.patient_key = chosen.patient_key
    left join candidates on images.image_key = candidates.image_key
    window earlier as (
        partition by images.patient_key
        order by images.patient_sequence
        rows between unbounded preceding and 1 preceding
    )
),

-- two consecutive candidates, by the strongest of all steps from one to the other
pairs as (
    select
        patient_key,
        place,
        any_value(members) as members,
        min(told_by) as told_by,
        bool_or(is_member) as later_is_member
    from numbered
    group by patient_key, place
    having place > 0 and bool_or(is_candidate)
),

asked as (
    select
        patient_key,
        if(told_by = 1, 6, told_by) as told_by
    from pairs
    window
        of_patient as (
            partition by patient_key
        )
    qualify
        members > 1
        or later_is_member
        or (place = 1 and not bool_or(later_is_member) over of_patient)
)

select
    patient_key,
    list_extract(
        ['unknown', 'day', 'follow_up', 'age', 'same_study', 'nothing'], max(told_by)
    ) as decided_by
from asked
group by patient_key
order by patient_key
